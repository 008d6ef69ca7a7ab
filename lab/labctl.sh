# Sourced by the commands in this directory: where the lab is, and how to run
# a command of labctl with the lab's own Python.
lab_home=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export LAB_DIR=${LAB_DIR:-$(dirname "$lab_home")/.lab}
export LAB_VENV=${LAB_VENV:-$LAB_DIR/venv}
unset PYTHONDONTWRITEBYTECODE

labctl() {
  if [ ! -x "$LAB_VENV/bin/python" ]; then
    echo "lab: there is no venv at $LAB_VENV; lab/up makes it" >&2
    exit 1
  fi
  PYTHONPATH=$lab_home PYTHONWARNINGS=ignore exec "$LAB_VENV/bin/python" -m labctl "$@"
}
