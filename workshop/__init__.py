"""What a notebook of the workshop can say.

    %load_ext workshop          starts or finds the sandbox and points the notebook's AWS calls at it
    from workshop import ...    the names below; each lives in the module of this folder that it is imported from

What a lesson is about (state machines, handlers, event patterns) stands in the notebook; here is only what would
distract from it.
"""

from workshop.extension import load_ipython_extension

__all__ = ["load_ipython_extension"]
