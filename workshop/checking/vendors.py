"""What checks of labs with the vendor do: rehearse its checks, and send to a callback URL what it would send."""

import concurrent.futures
import secrets

from workshop import clients, deploy, vendor
from workshop.checking.attacks import in_words, is_final, is_success, report, send
from workshop.checking.outcomes import NotAttempted, NotYet


def signed_up(lab):
    """The vendor that the lab has signed up with. Raises NotAttempted where there is none."""
    found = vendor.find(lab.name("vendor"))
    if found is None:
        raise NotAttempted(f"There is no vendor named {lab.name('vendor')}: run the cell that signs up.")
    return found


def rehearse(lab, verirow, rehearsals):
    """Let the vendor rehearse these cases; gives {case: the ARN of its table}. A table exists where it has rows.

    rehearsals: {case: how its check goes, as Vendor.rehearse takes it; `rows` is the content of its table}.
    """

    def prepare(case):
        how = dict(rehearsals[case])
        rows = how.pop("rows", None)
        # Where nobody reads it, it need not be there.
        name = lab.name(f"check-{case.replace(' ', '-')}") if rows else lab.name(f"check-{secrets.token_hex(6)}")
        table = deploy.arn("dynamodb", f"table/{name}")
        if rows:
            deploy.table(name, key="iata")
            with clients.table(name).batch_writer() as batch:
                for row in rows:
                    batch.put_item(Item=row)
        verirow.rehearse(table, **{"progress": 0, "patience": 10, **how})
        return table

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return dict(zip(rehearsals, pool.map(prepare, rehearsals), strict=True))


class Messages:
    """Messages of the vendor, signed, sent to an execution's callback URL; each gives the status of the answer.

    run: what has the `url` that they are sent to.
    """

    def __init__(self, verirow):
        self._vendor = verirow

    def raw(self, run, body):
        return send(run.url, self._vendor.headers(body), body)

    def message(self, run, kind, url=None, **content):
        return self.raw(run, self._vendor.message(kind, url or run.url, **content))

    def report(self, run, url=None):
        return self.raw(run, report(self._vendor, url or run.url))

    def progress(self, run):
        return self.message(run, "check.progress", percent=50)

    def failure(self, run):
        return self.message(run, "check.failed", error={"code": "CheckFailed", "message": "Half of it is missing."})


def must_succeed(status, what, why="The vendor is told that it has arrived: 2xx."):
    """Raise NotYet where the answer to `what` was no success. why: what is asked for."""
    if not is_success(status):
        again = "" if is_final(status) else ", so the vendor sends it again"
        raise NotYet(f"{what} {in_words(status)}{again}.", why)
