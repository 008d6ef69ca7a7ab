setup:
	tools/provision
	tools/venv .venv -e '.[test]'

rehearse:
	tools/provision
	tools/rehearse

test:
	tools/provision
	tools/check

.PHONY: setup rehearse test
