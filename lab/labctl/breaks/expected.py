"""What each state looks like once made; `lab/check` compares.

Per state: the volumes' statuses, the live attachments as status and `+` when
they have connection_info, how many volumes nova has mapped to the servers
(None: no server left), and the hosts left dead.
"""

ATTACHED, GONE = ['attached+'], [None]
GPU, CINDER = ['gpu-02'], ['cinder-02']

EXPECTED = {
    'attaching': (['attaching'], ['attaching+'], [1], []),
    'attaching-dead': (['attaching'], ['attaching+'], [1], GPU),
    'attaching-nobody': (['attaching'], [], [], []),
    'available-attached': (['available'], ATTACHED, [1], []),
    'available-error-attaching': (['available'], ['error_attaching'], [0], []),
    'available-mapped': (['available'], [], [1], []),
    'awaiting-transfer': (['awaiting-transfer'], [], [], []),
    'backing-up': (['backing-up'], [], [], []),
    'boot-detaching': (['detaching'], ATTACHED, [1], []),
    'creating': (['creating'], [], [], []),
    'creating-dead': (['creating'], [], [], CINDER),
    'creating-unscheduled': (['creating'], [], [], []),
    'dead-host': (['in-use', 'detaching'], ATTACHED * 2, [2], GPU),
    'deleting': (['deleting'], [], [], []),
    'deleting-dead': (['deleting'], [], [], CINDER),
    'deleting-hung': (['deleting'], [], [], []),
    'detaching': (['detaching'], ATTACHED, [1], []),
    'detaching-dead': (['detaching'], ATTACHED, [1], GPU),
    'detaching-hung': (['detaching'], ATTACHED, [1], []),
    'detaching-nobody': (['detaching'], [], [], []),
    'downloading-dead': (['downloading'], [], [], CINDER),
    'downloading-hung': (['downloading'], [], [], []),
    'error_deleting': (['error_deleting'], [], [], []),
    'error_deleting-failing': (['error_deleting'], [], [], []),
    'extending': (['extending'], [], [], []),
    'group': (['detaching'], ATTACHED, [1], []),
    'healthy': (['in-use', 'available'], ATTACHED, [1], []),
    **{'image-' + state: ([], [], [], []) for state in (
        'queued', 'saving', 'uploading', 'importing', 'deactivated',
        'half-deleted', 'pending-delete', 'upload-hung')},
    'image-snapshot-killed': ([], [], [0], GPU),
    'in-use-mapped': (['in-use'], [], [1], []),
    'in-use-nobody': (['in-use'], [], [], []),
    'mappings-apart': (
        ['in-use'] * 5 + ['available'], ATTACHED * 4, [7, 1, 1], []),
    'maintenance': (['maintenance'], [], [], []),
    # cinder's API shows a volume that is being managed as creating
    'managing': (['creating'], [], [], []),
    'migrating': (['available'], [], [], []),
    'multiattach-gone': (['in-use'], ATTACHED * 2, [None, 1], []),
    'quotas-apart': (['available'] * 2, [], [], []),
    'reserved': (['reserved'], ['reserved'], [0], []),
    'reserved-nobody': (['reserved'], [], [], []),
    'restoring-backup': (['restoring-backup'], [], [], []),
    'retyping': (['retyping'], [], [], []),
    'server-gone': (['in-use'], ATTACHED, GONE, []),
    'server-gone-backend-dead': (['in-use'], ATTACHED, GONE, CINDER),
    'server-gone-dead': (['in-use'], ATTACHED, GONE, GPU),
    **{'server-' + state: ([], [], [0], []) for state in (
        'error', 'error-off', 'error-lost', 'error-never', 'error-resized',
        'rebooting-hung', 'building-hung', 'resuming', 'soft-deleted')},
    'server-rebooting-dead': ([], [], [0], GPU),
    'shelved': (['reserved'], ['reserved'], [1], []),
    'two-attachments': (['in-use'], ['attached', 'attached+'], [1], []),
    'uploading-dead': (['uploading'], [], [], CINDER),
    'uploading-hung': (['uploading'], [], [], []),
}


def seen(report):
    """A report in the form of the table above."""
    details = report['details']
    return ([v['status'] for v in details['volumes']],
            sorted(a['status'] + '+' * a['connected']
                   for a in details['attachments']),
            [None if s['status'] == 'gone' else len(s['mappings'])
             for s in details['servers']],
            report['dead'])
