#!/bin/bash
# A real Slurm of one node, and sweeps on it. As root on Debian, from the repository's root:
#
#     bash tests/cluster/slurm.sh
#
# It installs slurm-wlm and munge where they are missing, and needs neither systemd nor cgroups, so
# that a container will do. The `cl-bench` on PATH is tried, with its extra slurm, and the `python`
# beside it. The three daemons and what they wrote are gone in the end. About ten minutes.
set -euo pipefail

work=$(mktemp -d /var/tmp/slurm-check.XXXXXX)
export SLURM_CONF=$work/etc/slurm.conf
say() { printf '\n== %s\n' "$*"; }

end() {
    [ -z "$(jobs -p)" ] || kill $(jobs -p)
    for daemon in slurmd slurmctld munged; do
        [ -f "$work/$daemon.pid" ] && kill "$(cat "$work/$daemon.pid")" 2>/dev/null || true
    done
    sleep 2
    rm -rf "$work"
}
trap end EXIT

say "Slurm and munge of Debian"
if ! command -v slurmctld munged >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # a container has no init that could start the daemons, so that nothing must try
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
    apt-get install -y -qq --no-install-recommends slurm-wlm munge >/dev/null
    rm /usr/sbin/policy-rc.d
fi

node=$(hostname -s)
mkdir -p "$work"/{etc,state,spool,run}
chmod 755 "$work" "$work"/run
chown munge: "$work"/run
ln -s /dev/null "$work/gpu0" && ln -s /dev/zero "$work/gpu1"  # cards that Slurm can give away
cat >"$SLURM_CONF" <<CONF
ClusterName=check
SlurmctldHost=$node(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$work/run/munge.socket,cred_expire=5
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
SlurmctldPort=16817
SlurmdPort=16818
ReturnToService=2
KillWait=5
GresTypes=gpu
NodeName=$node NodeAddr=127.0.0.1 CPUs=$(getconf _NPROCESSORS_ONLN) RealMemory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo) Gres=gpu:2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
printf 'Name=gpu File=%s\n' "$work/gpu[0-1]" >"$work/etc/gres.conf"

dd if=/dev/urandom of="$work/munge.key" bs=1024 count=1 status=none
chown munge: "$work/munge.key" && chmod 400 "$work/munge.key"
touch "$work/munged.pid" "$work/munged.log" && chown munge: "$work"/munged.{pid,log}
setpriv --reuid=munge --regid=munge --clear-groups munged --force --key-file="$work/munge.key" \
    --socket="$work/run/munge.socket" --pid-file="$work/run/munged.pid" \
    --log-file="$work/run/munged.log" --seed-file="$work/run/munged.seed" --num-threads=2
ln -sf "$work/run/munged.pid" "$work/munged.pid"
slurmctld
slurmd
for _ in $(seq 30); do
    [ "$(sinfo -h -o %T)" = idle ] && break
    sleep 1
done
sinfo --version
sinfo
echo "srun hostname: $(srun hostname)"
srun --gres=gpu:1 bash -c 'echo "srun with one card: CUDA_VISIBLE_DEVICES=$CUDA_VISIBLE_DEVICES"'

cells=(--streams math --learners rl --seeds 0-2 --steps 200 --set eval_every=10 --set items=4
    --set samples=1 --set retention_items=0 --set threads=1)
on_slurm=("${cells[@]}" --runs "$work/slurm" --backend slurm --slurm-time 3 --jobs 2
    --slurm-template "$work/site.sh")
cat >"$work/site.sh" <<SITE
#SBATCH --comment=from-the-template
export OMP_NUM_THREADS=1
SITE
queue() { squeue --me --array --noheader --format="$1"; }
first=math-rl-0-

say "Refused before anything is spent"
cl-bench sweep "${cells[@]}" --runs "$work/slurm" --backend slurm --slurm-partition nowhere || true

say "A sweep of three cells, two at a time, each job for three minutes; Ctrl-C after a while"
env --default-signal=INT cl-bench sweep "${on_slurm[@]}" &  # a shell has its jobs ignore Ctrl-C
sweep=$!
until ls "$work"/slurm/"$first"*/checkpoint/0* >/dev/null 2>&1; do sleep 1; done
echo "a cell has a checkpoint; the queue:"
queue "%i %T %k %b %l"
kill -INT $sweep
wait $sweep || echo "exit code $?"

say "One cell is requeued by hand, as a preemption does it; its job and checkpoint before:"
job=$(cat "$work"/slurm/slurm/"$first"*.job)
echo "job $job, checkpoint $(cd "$work"/slurm/"$first"*/checkpoint && ls -d 0*)"
scontrol requeue "$job"

say "The same command waits for the same jobs, which are put back when their time is over"
cl-bench sweep "${on_slurm[@]}"
echo "arrays ever submitted: $(ls "$work"/slurm/slurm/*_submission.sh | wc -l)"
for log in "$work"/slurm/slurm/*_log.out; do
    echo "$(basename "$log" _0_log.out): begun $(grep -c 'Loading pickle' "$log") times," \
        "put back at its time limit $(grep -c 'Requeued job' "$log" || true) times"
done

say "Once more: all is there"
cl-bench sweep "${on_slurm[@]}"

say "A cell whose job is cancelled"
cl-bench sweep "${cells[@]}" --seeds 7 --runs "$work/slurm" --backend slurm &
sweep=$!
until job=$(cat "$work"/slurm/slurm/math-rl-7-*.job 2>/dev/null); do sleep 1; done
scancel "$job"
wait $sweep || echo "exit code $?"

say "The same cells made here, and their tables"
cl-bench sweep "${cells[@]}" --runs "$work/here" --jobs 2
python - "$work" <<'PYTHON'
import sys
from pathlib import Path

from cl_bench.analysis.differences import TABLES, differences
from cl_bench.api import Run

here, slurm = (Path(sys.argv[1], name) for name in ("here", "slurm"))
for path in sorted(here.glob("math-*")):
    one, other = Run(path), Run(slurm / path.name)
    assert other.status == "done"
    assert (found := differences(one, other)) == [], found
    assert list(other.table("steps")["step"]) == list(range(1, 201))
    print(path.name, "equal:", ", ".join(f"{len(one.table(name))} {name}" for name in TABLES))
PYTHON
say "ok"
