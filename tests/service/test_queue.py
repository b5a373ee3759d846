"""The database holds the jobs: each is taken once, ended once, and taken up again when its worker is gone."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.service.db.analyses import Analyses, Filters, Retry, Room
from deepfake_detector.service.db.engine import Database
from deepfake_detector.service.db.keys import KeyStore
from deepfake_detector.service.db.queue import Outcome, Queue
from deepfake_detector.service.db.tables import Analysis, Base, new_id
from deepfake_detector.service.settings import load_settings

ROOM = Room(1000, 10**9, 10**9)
DONE = Outcome("{}", "real", 0.1)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """The URL of a real PostgreSQL server, started for these tests from Debian's packages."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not programs:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is not installed; .ci/run installs it")
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    folder = Path("/tmp") / f"deepfake-pg-{new_id()[:8]}"  # not below pytest's folder, which only its user may enter
    folder.mkdir(mode=0o700)
    as_user = []
    if os.getuid() == 0:  # the server refuses to run as root
        shutil.chown(folder, "postgres", "postgres")
        as_user = ["runuser", "-u", "postgres", "--"]

    def run(*arguments):
        subprocess.run([*as_user, *map(str, arguments)], check=True, capture_output=True, cwd="/")

    pg_ctl, data = programs[-1] / "pg_ctl", folder / "data"
    run(programs[-1] / "initdb", "-D", data, "-U", "deepfake", "-A", "trust")
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    run(pg_ctl, "-D", data, "-o", options, "-l", folder / "log", "-w", "start")
    yield f"postgresql://deepfake@/postgres?host={folder}"
    run(pg_ctl, "-D", data, "-m", "immediate", "-w", "stop")
    shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path, monkeypatch):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.sqlite3'}"
    monkeypatch.setenv("DATABASE_URL", request.getfixturevalue("postgres"))
    return load_settings(folder=tmp_path).database


@pytest.fixture
def database(url):
    opened = Database(url)
    opened.migrate()
    yield opened
    Base.metadata.drop_all(opened.engine)
    with opened.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE alembic_version")
    opened.close()


@pytest.fixture
def analyses(database):
    return Analyses(database)


@pytest.fixture
def queue(database):
    return Queue(database, lease=30.0, attempts=2)


def rows(number, owner="me", batch=None):
    batch = batch or new_id()
    return [
        Analysis(
            id=new_id(), owner=owner, batch=batch, position=n, name="a", sha256="0" * 64, bytes=1, stored=1,
            state="queued", operating_point="fpr5", prior=0.5,
        )
        for n in range(number)
    ]  # fmt: skip


def test_the_migrations_make_the_tables_of_the_code(database):
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    database.migrate()  # once more changes nothing


def test_jobs_are_taken_in_the_order_in_which_they_came(analyses, queue):
    batches = [rows(2), rows(1)]
    for batch in batches:
        analyses.add(batch, ROOM, None)
    assert [queue.take().id for _ in range(3)] == [row.id for batch in batches for row in batch]
    assert queue.take() is None


def test_many_takers_take_each_job_once(analyses, queue):
    made = rows(40)
    analyses.add(made, ROOM, None)

    def take_all(_):
        return [job.id for job in iter(queue.take, None)]

    with ThreadPoolExecutor(4) as threads:
        taken = [name for names in threads.map(take_all, range(4)) for name in names]
    assert sorted(taken) == sorted(row.id for row in made)


def test_only_the_holder_of_the_lease_writes_the_end(analyses, database):
    analyses.add(rows(1), ROOM, None)
    short = Queue(database, lease=0.0, attempts=3)
    first = short.take()
    assert short.recover() == 1
    second = short.take()
    assert (second.id, second.attempts) == (first.id, 2)
    assert not short.finish(first, Outcome("late", "fake", 0.9))
    assert short.finish(second, DONE)
    assert not short.finish(second, DONE)
    found = analyses.get("me", first.id)
    assert (found.state, found.report, found.verdict) == ("done", "{}", "real")


def test_a_lease_that_is_kept_is_not_taken_away(analyses, queue):
    analyses.add(rows(2), ROOM, None)
    jobs = [queue.take(), queue.take()]
    assert queue.recover() == 0
    assert analyses.cancel("me", jobs[0].id)
    assert queue.keep([job.lease for job in jobs]) == {jobs[1].lease}
    assert not queue.finish(jobs[0], DONE)
    assert analyses.get("me", jobs[0].id).state == "cancelled"


def test_a_job_that_brought_down_its_workers_too_often_fails(analyses, queue):
    analyses.add(rows(1), ROOM, None)
    queue.take()
    assert queue.recover(all_running=True) == 1
    job = queue.take()
    assert queue.recover(all_running=True) == 0
    found = analyses.get("me", job.id)
    assert (found.state, found.error_code) == ("failed", "analysis_crashed")


def test_giving_back_counts_an_attempt_only_if_it_was_the_jobs_fault(analyses, queue):
    analyses.add(rows(1), ROOM, None)
    queue.give_back(queue.take(), counted=False)
    assert queue.take().attempts == 1


def test_the_same_request_twice_at_once_is_one(analyses):
    def add(_):
        return analyses.add(rows(1), ROOM, Retry("key", "hash"))[0].batch

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(add, range(8)))) == 1
    assert len(analyses.list("me", Filters(), 10)) == 1
    assert analyses.add(rows(1), ROOM, Retry("key", "other")) is None
    assert analyses.add(rows(1, owner="you"), ROOM, Retry("key", "other")) is not None


def test_deleting_a_key_ends_its_sessions(database):
    store = KeyStore(database)
    new = store.create("x")
    cookie, _ = store.log_in(new.key, 1)
    assert store.session(cookie).key.id == new.key.id
    store.revoke(new.key.id)
    assert store.session(cookie) is None


def test_a_database_that_is_not_there_is_a_setting_that_is_wrong(tmp_path):
    with pytest.raises(ConfigError, match="database"):
        Database(f"sqlite:///{tmp_path / 'no folder' / 'x.sqlite3'}").migrate()
    with pytest.raises(ConfigError, match="database"):
        Database("postgresql+psycopg://nobody:hidden@127.0.0.1:1/x").migrate()


def test_workers_and_clients_do_not_need_the_database(tiny_bundle):
    code = (
        "import sys, deepfake_detector.service.jobs.worker, deepfake_detector.service.client; "
        "print([name for name in ('sqlalchemy', 'fastapi', 'uvicorn', 'typer') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


def test_what_is_begun_at_once_is_ours_from_the_start_and_is_not_taken(analyses, queue):
    (row,) = rows(1)
    row.created = 1
    queue.begun(row)
    analyses.add([row], ROOM, None)
    assert queue.take() is None
    assert queue.keep([row.lease]) == {row.lease}
    assert queue.finish(row, DONE).state == "done"


def test_progress_is_written_by_the_holder_alone_and_forgotten_when_it_begins_again(analyses, queue):
    analyses.add(rows(1), ROOM, None)
    job = queue.take()
    queue.progress(job, 0.25, 12.5)
    found = analyses.get("me", job.id)
    assert (found.progress, found.seconds_left) == (0.25, 12.5)
    queue.give_back(job, counted=False)
    queue.progress(job, 0.75, 1.0)
    found = analyses.get("me", job.id)
    assert (found.progress, found.seconds_left) == (0.0, None)


def test_a_worker_that_is_for_pictures_takes_no_video(analyses, queue):
    video, picture = rows(2)
    video.video = True
    analyses.add([video, picture], ROOM, None)
    assert queue.take(videos=False).id == picture.id
    assert queue.take(videos=False) is None
    assert queue.take().id == video.id


def test_a_database_of_the_first_version_is_brought_up_to_date(url, analyses):
    from alembic import command

    from deepfake_detector.service.db.engine import migrations

    opened = Database(url)
    (row,) = rows(1)
    analyses.add([row], ROOM, None)
    with opened.engine.begin() as connection:
        command.downgrade(migrations(connection), "0001")
    opened.migrate()
    opened.close()
    found = analyses.get("me", row.id)
    assert (found.explain, found.video, found.seconds_left) == (False, False, None)
