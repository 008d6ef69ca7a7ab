"""Dead hosts."""
from labctl import cloud, control


def dead_host(scene):
    """A compute host dies with one attached and one detaching volume."""
    server, _ = scene.attached_pair()
    leaving = scene.volume('går')
    scene.attach(server, leaving)
    control.hold(scene.compute_host, 'detach_volume')
    scene.detach(server, leaving)
    control.wait_held(scene.compute_host, 'detach_volume')
    cloud.kill(scene.compute_host, until_down=True)
    control.release(scene.compute_host, 'detach_volume')


STATES = {'dead-host': dead_host}
