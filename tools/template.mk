# What only the template has: no fork has the folder tools/.
.PHONY: fork bench
fork: install ## Make a repository of your own: NAME=churn DIR=../churn; WITH="table predict" picks its features
	$(if $(call given,NAME),,$(error NAME is missing: make fork NAME=churn DIR=../churn))
	@$(BIN)/python tools/fork.py "$(NAME)" $(if $(call given,DIR),"$(DIR)") $(if $(call from_here,WITH),--with "$(WITH)")
# From the command line alone, for some systems have variables of these names.
from_here = $(filter command,$(origin $1))
given = $(and $(call from_here,$1),$($1))

# Words after it, as in `make bench predict quality`, are what to measure, and no targets of their own.
ifeq ($(firstword $(MAKECMDGOALS)),bench)
MEASURED := $(wordlist 2,$(words $(MAKECMDGOALS)),$(MAKECMDGOALS))
COMMANDS := $(filter-out $(MEASURED),$(COMMANDS))
$(MEASURED): bench ; @:
endif
bench: install ## Measure speed, side by side with others (some minutes); `make bench quality` measures how good it is
	@$(BIN)/python -m tests.benchmarks $(MEASURED) $(ARGS)
