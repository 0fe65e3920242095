"""`%load_ext workshop`: the first cell of every notebook.

It connects the notebook to its account and prints one line that says which. What a notebook shows of a real account is
masked from then on (masking.py). A sandbox is watched: its state is in memory, so when it has died, or was emptied,
everything that the notebook made is gone, and a cell that went on as if nothing had happened would fail in ways that
teach nothing.
"""

import ast

from botocore.exceptions import ConnectionClosedError, EndpointConnectionError
from IPython import get_ipython
from IPython.core.error import InputRejected

from workshop import account, masking, sandbox


class CellNotRun(InputRejected):
    """Raised in place of a cell whose sandbox is no longer the one that the cells before it ran against."""

    def _render_traceback_(self):
        return [str(self)]


class Watch:
    """Holds the notebook's lease on the sandbox, and stops a cell that would run against another one."""

    def __init__(self, lease):
        self.lease = lease
        self.epoch = lease.account_epoch

    def visit(self, tree):
        """Called by IPython with each cell's syntax tree before the cell runs (it is an "AST transformer")."""
        epoch = self._epoch_now()
        if epoch == self.epoch or "value='load_ext'" in ast.dump(tree):
            return tree
        what = "was emptied" if epoch else "had stopped, and a new one was started"
        if not epoch:
            self._hold_a_new_one()
        self.epoch = epoch or self.lease.account_epoch
        raise CellNotRun(
            f"The sandbox {what}: what this notebook made in it is gone, so this cell did not run.\n"
            "Run the notebook again from its first code cell, %load_ext workshop "
            "(menu Run, Run All Above Selected Cell).\n"
            f"If you did not expect this, look into its log: {self.lease.state['log']}"
        )

    def _epoch_now(self):
        """The account's present epoch; None where the sandbox has died."""
        if not self.lease.alive:
            return None
        # Asked for, since the lease's own line may still be on its way. A sandbox too busy to answer is the same one.
        return (sandbox.status() or {}).get("account_epoch", self.epoch)

    def _hold_a_new_one(self):
        try:
            state, self.lease = sandbox.hold()
        except sandbox.SandboxError as error:
            raise CellNotRun(
                f"The sandbox had stopped and does not start again, so this cell did not run. {error}"
            ) from None
        account.use_sandbox(state)


def load_ipython_extension(ipython):
    """Called by IPython for `%load_ext workshop`; may be called again and again."""
    connected, lease = account.connect()
    ipython.ast_transformers = [t for t in ipython.ast_transformers if not isinstance(t, Watch)]
    if lease:
        ipython.ast_transformers.append(Watch(lease))
        ipython.set_custom_exc((EndpointConnectionError, ConnectionClosedError), _explain)
    elif hasattr(ipython, "kernel"):
        masking.mask_outputs(ipython.kernel, connected.id)
    ipython.events.register("post_run_cell", _may_be_loaded_again)
    print(connected)


def _may_be_loaded_again(result):
    """IPython answers a second %load_ext with a line about reloading; forgetting the first brings it here again."""
    get_ipython().extension_manager.loaded.discard("workshop")


def _explain(ipython, kind, error, trace, tb_offset=None):
    """One sentence in place of fifty lines of traceback when the sandbox dies under a running cell."""
    lines = [
        f"The sandbox stopped while this cell ran (not your fault): {error}\n"
        "The next cell that you run starts a new one and says where to go on from.\n"
        f"Its last words are in {sandbox.FOLDER / 'sandbox.log'}"
    ]
    ipython._showtraceback(kind, error, lines)
    return lines
