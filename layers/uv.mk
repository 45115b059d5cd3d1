# What builds layers is in the project's own environment, which `sam build` makes where `make` has not yet.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
UV := .venv/bin/uv

$(UV):
	$(MAKE) --makefile Makefile .venv/.ready
