"""A real account, set up for the labs and taken down again: `workshop account up`, `status`, `down`.

An administrator does this once, for all who learn in the account; a learner needs none of it. template.py makes the
CloudFormation template from `workshop/data/account.yaml`; roles.py looks for the two roles of DMS that no template can
have; stack.py makes, changes and deletes the stack, whatever state it is in; problems.py says what to do where AWS
refuses; command.py has what the commands do, in their order. docs/account.md tells administrators how.
"""
