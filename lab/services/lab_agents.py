"""Heartbeats of the network hosts' agents, through neutron's own RPC.

Each host is a thread that reports its four agents every two seconds as the
agents do.  A file $LAB_DIR/control/dead/HOST silences it; when the file goes
the agents report as freshly started ones.
"""
import os
import pathlib
import threading
import time

from neutron.agent import rpc as agent_rpc
from neutron.conf.agent import common as agent_conf
from neutron_lib.agent import topics
from neutron_lib import context
from oslo_config import cfg
from oslo_log import log as logging

LOG = logging.getLogger(__name__)
DEAD = pathlib.Path(os.environ['LAB_DIR']) / 'control' / 'dead'
INTERVAL = 2        # seconds between reports

AGENTS = (
    ('neutron-l3-agent', 'L3 agent', 'l3_agent',
     {'agent_mode': 'legacy', 'handle_internal_only_routers': True,
      'interface_driver': 'openvswitch', 'routers': 0}),
    ('neutron-dhcp-agent', 'DHCP agent', 'dhcp_agent',
     {'dhcp_driver': 'neutron.agent.linux.dhcp.Dnsmasq',
      'dhcp_lease_duration': 86400, 'networks': 0}),
    ('neutron-metadata-agent', 'Metadata agent', 'N/A',
     {'metadata_proxy_socket': '/run/neutron/metadata_proxy'}),
    ('neutron-openvswitch-agent', 'Open vSwitch agent', 'N/A',
     {'bridge_mappings': {'physnet1': 'br-ex'}, 'tunnel_types': ['vxlan'],
      'tunneling_ip': '127.0.0.1', 'devices': 0}),
)


def _states(host):
    return [{'binary': binary, 'agent_type': kind, 'topic': topic,
             'host': host, 'availability_zone': 'nova',
             'configurations': configurations, 'start_flag': True}
            for binary, kind, topic, configurations in AGENTS]


def _silenced(path):
    """Is the host dead?  Says so in the file: no report is under way."""
    try:
        with path.open('r+') as file:
            file.write('silent')
    except FileNotFoundError:
        return False
    return True


def _heartbeat(host):
    api = agent_rpc.PluginReportStateAPI(topics.REPORTS)
    admin = context.get_admin_context_without_session()
    states = _states(host)
    while True:
        if _silenced(DEAD / host):
            states = _states(host)
        else:
            for state in states:
                try:
                    api.report_state(admin, state, use_call=True)
                    state.pop('start_flag', None)
                except Exception:
                    LOG.exception('report of %s on %s', state['binary'], host)
        time.sleep(INTERVAL)


def start(hosts):
    """Start the threads; neutron's RPC listeners have to run."""
    agent_conf.register_agent_state_opts_helper(cfg.CONF)
    for host in hosts:
        threading.Thread(target=_heartbeat, args=(host,), daemon=True,
                         name='agents-' + host).start()
