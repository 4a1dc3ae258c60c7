#!/usr/bin/env sh
# Starts one training run by whatever this machine has: slurm, torchrun, or nothing but Python. --help explains it.
#
# A script that stands for a published one sets PUBLISHED_GPUS and the like: what holds where the user says nothing and
# where it fits. 64 GPUs are a fine default for a cluster, and none for a laptop.
set -euf
unset CDPATH

usage() {
    cat <<'END'
usage: sh shell/finetune.sh <recipe.yaml> [options for python -m train]

Starts `python -m train --config <recipe.yaml> [options]`; python -m train --help lists the options.
The recipe's path is relative to the folder you are in, paths inside of it to the root of this checkout.

How it is started, the first that fits:
  inside an srun step or torchrun    as this process alone: the others are there already
  srun on PATH                       srun, one task per GPU; inside of sbatch or salloc, in that allocation
  otherwise                          one process, which starts one more for every further GPU
LAUNCHER=slurm, pytorch (torchrun) or plain chooses one.

Environment variables:
  GPUS                   all GPUs of the run (without slurm and torchrun: by default all that are visible)
  GPUS_PER_NODE, NODES   how they are spread; by default 8, and as many nodes as that takes
  BATCH_SIZE             samples per optimiser step, over all GPUs; by default the recipe's
  PER_DEVICE_BATCH_SIZE  samples per GPU and forward pass; by default the recipe's
  OUTPUT_DIR             the run folder; by default the recipe's, else work_dirs/<name of the recipe>
  MASTER_PORT            where the processes meet
  PARTITION, CPUS_PER_TASK, SRUN_ARGS   of srun; SRUN_ARGS comes last and wins, as in SRUN_ARGS="--gres=none"
  QUOTA_TYPE             of the plugin that has srun --quotatype; left out unless it is set
  NODE_RANK, MASTER_ADDR   of torchrun on several machines: the number of this one, the address of number 0
  DRY_RUN=1              print the command line and the merged options, and start nothing
  SUBMIT=1               submit it with sbatch instead; it is queued again when it is preempted or out of time
  SBATCH_ARGS            further options of sbatch, as in SBATCH_ARGS="--time=24:00:00"
  INTERNVL_PYTHON        a Python of your own in place of .venv; see sh shell/setup.sh --help

The output is added to training_log.txt in the run folder, unless it goes to a terminal. TERM, INT and USR1 reach the
training, which saves and ends. The exit code is that of the training.
END
}

fail() {
    printf 'error: %s\n' "$1" >&2
    exit 2
}

# Fails unless $2 is a whole positive number that shells can compute with.
check_number() {
    case $2 in
        '' | *[!0-9]* | 0* | ???????*) fail "$1: expected a whole number from 1 to 999999, got '$2'; correct it" ;;
    esac
}

is_number() {
    case $1 in '' | *[!0-9]* | 0* | ???????*) return 1 ;; esac
}

# Prints the value of a key of the recipe that is not inside of another.
read_recipe() {
    sed -n "s/^$1:[[:space:]]*//p" "$recipe" | sed -e 's/[[:space:]]#.*//' -e 's/[[:space:]]*$//' -e "s/^[\"']//" \
        -e "s/[\"']\$//" | tail -n 1
}

# Prints words as a shell would read them again.
quote() {
    for word; do
        case $word in
            '' | *[!A-Za-z0-9_./:=,@%+-]*) printf "'%s' " "$(printf '%s' "$word" | sed "s/'/'\\\\''/g")" ;;
            *) printf '%s ' "$word" ;;
        esac
    done | sed 's/ $//'
}

# Sets output, batch and device_batch to what the options say, which win over everything else.
read_options() {
    option=
    for word; do
        read_option "$option" "$word"
        case $word in --*=*) read_option "${word%%=*}" "${word#*=}" ;; esac
        option=$word
    done
}

read_option() {
    case $1 in
        --output_dir) output=$2 ;;
        --batch_size) batch=$2 ;;
        --per_device_batch_size | --per_device_train_batch_size) device_batch=$2 ;;
    esac
}

# True in a task of srun. A batch script has SLURM_PROCID, but no step; a step of one task with a terminal is a shell
# of somebody (srun --pty bash), and so is the step with this number, in which salloc may open one.
is_in_step() {
    [ -n "${SLURM_STEP_ID:-}" ] && [ -n "${SLURM_PROCID:-}" ] && [ "$SLURM_STEP_ID" != 4294967290 ] && ! is_own_shell
}

is_own_shell() {
    [ "${SLURM_STEP_ID:-4294967290}" != 4294967290 ] && [ "${SLURM_STEP_NUM_TASKS:-1}" = 1 ] && [ -t 0 ]
}

# Prints direct, slurm, pytorch or plain.
choose_launcher() {
    if [ -n "${TORCHELASTIC_RUN_ID:-}" ] || [ -n "${RANK:+${WORLD_SIZE:+${LOCAL_RANK:-}}}" ]; then
        echo direct
        return
    fi
    case ${LAUNCHER:-} in
        '' | slurm) if is_in_step; then echo direct && return; fi ;;
        pytorch | plain) ;;
        *) fail "LAUNCHER: expected slurm, pytorch or plain, got '$LAUNCHER'; choose one, or leave it unset" ;;
    esac
    if [ -n "${LAUNCHER:-}" ]; then
        echo "$LAUNCHER"
    elif [ -n "${SUBMIT:-}" ]; then
        echo slurm
    elif [ -n "${PUBLISHED_LAUNCHER:-}" ]; then
        echo "$PUBLISHED_LAUNCHER"
    elif command -v srun >/dev/null && ! is_own_shell; then
        echo slurm
    else
        echo plain
    fi
}

# Sets gpus (empty: all that are visible), per_node and nodes.
count_gpus() {
    for name in GPUS GPUS_PER_NODE NODES; do
        eval "value=\${$name:-}"
        if [ -n "$value" ]; then check_number "$name" "$value"; fi
    done
    case $launcher in
        direct) gpus=${WORLD_SIZE:-${SLURM_STEP_NUM_TASKS:-}} ;;
        plain)
            gpus=${GPUS:-}
            [ "${NODES:-1}" = 1 ] ||
                fail "NODES: expected 1 without slurm and torchrun, got $NODES; set LAUNCHER=pytorch"
            ;;
        slurm)
            gpus=${GPUS:-} nodes=${NODES:-}
            if [ -z "$gpus$nodes" ]; then gpus=${SLURM_NTASKS:-} nodes=${SLURM_NTASKS:+${SLURM_NNODES:-}}; fi
            spread_gpus
            ;;
        pytorch)
            gpus=${GPUS:-} nodes=${NODES:-}
            spread_gpus
            [ "$nodes" -eq 1 ] || [ -n "${NODE_RANK:+${MASTER_ADDR:-}}" ] || fail "MASTER_ADDR: expected the address of\
 the first of $nodes machines, got none; set it, and NODE_RANK to 0, 1, ... on every one, or lower GPUS ($gpus)"
            ;;
    esac
}

# Completes gpus, nodes and per_node, and fails unless they fit.
spread_gpus() {
    per_node=${GPUS_PER_NODE:-}
    if [ -z "$per_node" ] && [ -n "$gpus" ] && [ -n "$nodes" ]; then per_node=$((gpus / nodes)); fi
    per_node=${per_node:-8}
    full_node=$per_node
    gpus=${gpus:-${nodes:+$((nodes * per_node))}}
    gpus=${gpus:-${PUBLISHED_GPUS:-$per_node}}
    if [ -n "$nodes" ]; then
        [ $((nodes * per_node)) -eq "$gpus" ] || fail "GPUS: expected NODES x GPUS_PER_NODE = $nodes x $per_node =\
 $((nodes * per_node)), got $gpus; set one of the three otherwise, or leave it unset"
    elif [ "$gpus" -lt "$per_node" ]; then
        per_node=$gpus
    elif [ $((gpus % per_node)) -ne 0 ]; then
        even=$per_node
        while [ $((gpus % even)) -ne 0 ]; do even=$((even - 1)); done
        below=$((gpus / per_node * per_node))
        fail "GPUS: expected a multiple of GPUS_PER_NODE ($per_node) or less than it, got $gpus; use $below or\
 $((below + per_node)), or GPUS_PER_NODE $even"
    fi
    nodes=$((gpus / per_node))
}

# Prints the numbers of GPUS next to the one that does not divide the batch.
suggest_gpus() {
    [ $((batch % device_batch)) -eq 0 ] || return 0
    for step in -1 1; do
        other=$((gpus + step))
        while [ "$other" -gt 0 ] && [ "$other" -le $((4 * gpus)) ]; do
            if [ $((batch % (device_batch * other))) -eq 0 ] &&
                { [ "$other" -lt "$full_node" ] || [ $((other % full_node)) -eq 0 ]; }; then
                echo "$other"
                break
            fi
            other=$((other + step))
        done
    done
}

check_batch() {
    if [ -n "${BATCH_SIZE:-}" ]; then check_number BATCH_SIZE "$BATCH_SIZE"; fi
    if [ -n "${PER_DEVICE_BATCH_SIZE:-}" ]; then check_number PER_DEVICE_BATCH_SIZE "$PER_DEVICE_BATCH_SIZE"; fi
    # What is no number here was said in another way than by a variable: that is for Python to judge.
    is_number "$gpus" && is_number "$batch" && is_number "$device_batch" || return 0
    unit=$((device_batch * gpus))
    if [ $((batch % unit)) -ne 0 ]; then
        below=$((batch / unit * unit))
        use=$((below + unit))
        [ "$below" -eq 0 ] || use="$below or $use"
        others=$(suggest_gpus)
        [ -z "$others" ] || use="$use, or GPUS $(echo "$others" | tr '\n' ' ' | sed -e 's/ $//' -e 's/ / or /')"
        fail "BATCH_SIZE: expected a multiple of $device_batch x $gpus = $unit (PER_DEVICE_BATCH_SIZE x GPUS), got\
 $batch; use $use"
    fi
    [ "$launcher" = direct ] || printf 'GRADIENT_ACC=%s: %s samples per step = %s per device x %s GPUs x %s; packs may need fewer passes\n' \
        $((batch / unit)) "$batch" "$device_batch" "$gpus" $((batch / unit)) >&2
}

# Prints the partition to ask for: the published one is that of one cluster, so only where there is such a one.
choose_partition() {
    if [ -n "${PARTITION:-}" ]; then
        echo "$PARTITION"
    elif [ -n "${PUBLISHED_PARTITION:-}" ]; then
        sinfo --noheader --partition="$PUBLISHED_PARTITION" --format=%R 2>/dev/null | head -n 1
    fi
}

# Lightning takes jobs of these two names for somebody's shell, and their tasks for single processes: right for
# processes that srun did not start, and wrong for tasks.
name_job() {
    case $launcher:${SLURM_JOB_ID:+job}:${SLURM_JOB_NAME:-} in
        plain:job:* | pytorch:job:*)
            export SLURM_JOB_NAME=interactive
            unset SLURM_STEP_ID SLURM_STEPID
            ;;
        direct:*:bash | direct:*:interactive | slurm:*:bash | slurm:*:interactive) export SLURM_JOB_NAME="$stem" ;;
    esac
}

# Passes a signal on to what was started, as the signal that makes the training save and end.
pass_on() {
    [ -n "$child" ] || exit 143
    passed=yes
    sent=$1
    case $launcher:$sent in
        # Slurm tells the tasks itself, and a second signal could mean something else to them.
        slurm:TERM) [ "$is_batch" = no ] || return 0; sent=USR1 ;;
        # Of others srun kills its tasks at once, without a chance to save.
        slurm:*) sent=USR1 ;;
        # torchrun hands on TERM, and dies of USR1.
        pytorch:*) sent=TERM ;;
        # What a script starts in the background ignores INT.
        *:INT | *:HUP) sent=TERM ;;
    esac
    kill -s "$sent" "$child" 2>/dev/null || true
}

# Waits for the child, however many signals come in between; its exit code is in code.
wait_for_child() {
    code=127
    while :; do
        passed=no
        result=0
        wait "$child" || result=$?
        # 127: there is nothing to wait for any more.
        [ "$result" -eq 127 ] || code=$result
        [ "$passed" = yes ] || break
    done
}

# Runs a command with its output on stdout and in the log. Not through a pipe, which would lose the exit code. A
# terminal belongs to the training, for its progress bar.
run_logged() {
    child=
    trap 'pass_on TERM' TERM
    trap 'pass_on INT' INT
    trap 'pass_on HUP' HUP
    trap 'pass_on USR1' USR1
    if [ -t 1 ]; then
        "$@" <&0 &
        child=$!
        wait_for_child
        exit "$code"
    fi
    folder=$(mktemp -d)
    mkfifo "$folder/output"
    # The log ends when everything has been written, not when the signal comes.
    (trap '' TERM INT HUP USR1 && exec tee -a "$output/training_log.txt" <"$folder/output") &
    log=$!
    exec 3>"$folder/output"
    rm -r "$folder"
    "$@" <&0 >&3 2>&1 3>&- &
    child=$!
    exec 3>&-
    wait_for_child
    wait "$log" || true
    exit "$code"
}

case ${1:-} in
    -h | --help) usage && exit ;;
    '' | -*) usage >&2 && exit 2 ;;
esac
root=$(cd "$(dirname "$0")/.." && pwd -P)
recipe=$1
shift
if [ -f "$recipe" ]; then
    recipe=$(cd "$(dirname "$recipe")" && pwd -P)/$(basename "$recipe")
else
    [ -f "$root/$recipe" ] ||
        fail "recipe: expected a YAML file, got '$recipe'; those of this checkout are in train/recipes"
fi
stem=$(basename "$recipe")
stem=${stem%.*}
python=$root/.venv/bin/python
if [ ! -x "$python" ] || [ -e "$root/.venv/.unfinished" ] || [ -n "${INTERNVL_PYTHON:-}" ]; then
    python=$(sh "$root/shell/setup.sh" --print-python)
fi
cd "$root"
recipe=${recipe#"$root/"}

launcher=$(choose_launcher)
[ -z "${SUBMIT:-}" ] || [ "$launcher" = slurm ] ||
    fail "LAUNCHER: expected slurm with SUBMIT=1, got $launcher; leave it unset, and submit from outside of a job"
gpus= per_node= nodes= full_node=1
count_gpus
cpus=${CPUS_PER_TASK:-${PUBLISHED_CPUS_PER_TASK:-10}}
check_number CPUS_PER_TASK "$cpus"
port=${MASTER_PORT:-${PUBLISHED_MASTER_PORT:-}}
# Lightning takes an empty one for a number.
if [ -n "$port" ]; then check_number MASTER_PORT "$port"; else unset MASTER_PORT; fi
[ "${port:-1}" -le 65535 ] || fail "MASTER_PORT: expected at most 65535, got $port; lower it"

recipe_output=$(read_recipe output_dir)
output=${OUTPUT_DIR:-${recipe_output:-work_dirs/$stem}}
batch=${BATCH_SIZE:-$(read_recipe batch_size)}
device_batch=${PER_DEVICE_BATCH_SIZE:-$(read_recipe per_device_batch_size)}
read_options "$@"
check_batch
# In front of the user's options, which win.
[ "$launcher" != plain ] || [ -z "$gpus" ] || set -- --devices "$gpus" "$@"
[ -z "${PER_DEVICE_BATCH_SIZE:-}" ] || set -- --per_device_batch_size "$PER_DEVICE_BATCH_SIZE" "$@"
[ -z "${BATCH_SIZE:-}" ] || set -- --batch_size "$BATCH_SIZE" "$@"
if [ -n "${OUTPUT_DIR:-}" ] || [ -z "$recipe_output" ]; then
    set -- --output_dir "${OUTPUT_DIR:-work_dirs/$stem}" "$@"
fi
if [ -n "${DRY_RUN:-}" ]; then merged=$("$python" -m train.arguments --config "$recipe" "$@"); fi

is_batch=no
if [ -n "${SLURM_JOB_ID:-}" ] && [ -n "${SLURM_PROCID:-}" ] && [ -z "${SLURM_STEP_ID:-}" ]; then is_batch=yes; fi
export TF_CPP_MIN_LOG_LEVEL=3 PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
name_job
case $launcher in
    direct | plain) set -- "$python" -u -m train --config "$recipe" "$@" ;;
    pytorch)
        export MASTER_PORT="${port:-34229}"
        # Time to save, before torchrun kills what has not ended.
        export TORCH_ELASTIC_SHUTDOWN_TIMEOUT="${TORCH_ELASTIC_SHUTDOWN_TIMEOUT:-600}"
        set -- "$python" -m torch.distributed.run "--nnodes=$nodes" "--node_rank=${NODE_RANK:-0}" \
            "--master_addr=${MASTER_ADDR:-127.0.0.1}" "--nproc_per_node=$per_node" "--master_port=$MASTER_PORT" \
            -m train --config "$recipe" "$@"
        ;;
    slurm)
        resources="--gres=gpu:$per_node --nodes=$nodes --ntasks=$gpus --ntasks-per-node=$per_node --cpus-per-task=$cpus"
        partition=
        if [ -n "${SUBMIT:-}" ] || [ -z "${SLURM_JOB_ID:-}" ]; then partition=$(choose_partition); fi
        if [ "$gpus" -gt 1 ] && [ -n "$port" ]; then export MASTER_PORT="$port"; fi
        # shellcheck disable=SC2086  # the words of the variables are wanted one by one
        if [ -n "${SUBMIT:-}" ]; then
            # The variables are in the options by now; those of the resources hold for the srun of the job, too.
            set -- env SUBMIT= DRY_RUN= LAUNCHER=slurm "GPUS=$gpus" "GPUS_PER_NODE=$per_node" NODES= \
                "CPUS_PER_TASK=$cpus" BATCH_SIZE= PER_DEVICE_BATCH_SIZE= OUTPUT_DIR= QUOTA_TYPE= \
                ${port:+"MASTER_PORT=$port"} "SRUN_ARGS=${SRUN_ARGS:-}" "INTERNVL_PYTHON=${INTERNVL_PYTHON:-}" sh "$root/shell/finetune.sh" \
                "$recipe" "$@"
            set -- sbatch --requeue --signal=USR1@120 --open-mode=append "--job-name=$stem" \
                ${partition:+-p "$partition"} $resources ${QUOTA_TYPE:+"--quotatype=$QUOTA_TYPE"} "--chdir=$root" \
                "--output=$output/slurm-%j.out" ${SBATCH_ARGS:-} --wrap "exec $(quote "$@")"
        else
            set -- srun ${partition:+-p "$partition"} $resources --kill-on-bad-exit=1 \
                ${QUOTA_TYPE:+"--quotatype=$QUOTA_TYPE"} ${SRUN_ARGS:-} "$python" -u -m train --config "$recipe" "$@"
        fi
        ;;
esac
if [ -n "${DRY_RUN:-}" ]; then
    quote "$@"
    printf '\n%s\n' "$merged"
    exit
fi
[ "$launcher" != direct ] || exec "$@"
mkdir -p "$output" || fail "OUTPUT_DIR: expected a folder that can be written to, got '$output'; choose another one"
if [ -n "${SUBMIT:-}" ] || { [ "$launcher" = plain ] && [ -t 1 ]; }; then exec "$@"; fi
run_logged "$@"
