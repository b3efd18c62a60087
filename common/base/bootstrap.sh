# The first process of the container: restores the batch script, runs it as its child, forwards SIGTERM, frames the output.
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs as  sh -c <this text> slurm_script ARGS...  in dash, bash and busybox ash. What it is given in the environment:
#   SF_SCRIPT  the script in base64    SF_ENC    b: plain, z: gzipped below the base64
#   SF_NONCE   16 hex digits           SF_FRAME  1: lines go out behind o or e, with end marks; 0: output untouched
# embed-bootstrap drops comments, joins the lines and shortens every SF_name in lower case. Its rules: a comment has a line
# of its own, a case item too, and there is no here-document. Every character counts against the 7372 of a request, hence:
#   - names begin with SF_, since any other could be a variable of the job's that a plain assignment would change;
#   - with IFS empty and globbing off, an unquoted $name is one word, or none when empty;
#   - 2>&- silences a program at the price of no stderr at all;
#   - signals that a shell on Linux has one number for go by the number.
# shellcheck disable=SC2015,SC2048,SC2086,SC2094,SC2164,SC2172,SC2254

# As PID 1 an untrapped SIGTERM would be dropped by the kernel. Until the script runs, remember it. dash and ash have a
# handler for SIGINT, so a script's `kill -INT -1` would end them.
trap SF_stop=1 TERM
trap '' INT
IFS=
set -f

# Fail with words. The agent knows the line, not the code; the code only must not look like success.
E() {
	echo $SF_NONCE bootstrap: $*>&2
	exit 125
}

# Close what only one side of the pipes may hold.
X() {
	exec 3<&- 4>&- 5<&- 6>&-
}

# The filter that puts $1 before each line as soon as the line is there: the one that was found. What a script may send to
# all processes, HUP, QUIT, USR1, USR2 and TERM, must not end it.
F() {
	trap '' 1 3 10 12 15
	X
	case $SF_filter in
	1) exec stdbuf -oL sed s/^/$1/;;
	2) exec awk -v p=$1 '{print p $0;fflush()}';;
	3) exec sed -u s/^/$1/;;
	esac
	while read -r SF_line || [ $SF_line ]; do
		printf $1%s'\n' $SF_line
	done
}

# Signal every process but this one and the filters.
K() {
	cd /proc
	for SF_pid in [0-9]*; do
		case $SF_pid in
		$$|$SF_out|$SF_err) ;;
		*) kill $1 $SF_pid;;
		esac
	done
}

# The end mark. A last line without newline must not swallow it; where there was none the log driver drops the empty line.
M() {
	echo
	echo $1$SF_NONCE end $SF_rc
}

[ $SF_ENC = z ] && SF_gzip=gzip
for SF_prog in base64 $SF_gzip mktemp mkfifo; do
	hash $SF_prog 2>&- || E no $SF_prog in the image
done

# Where sbatch was called, if the image or a volume has that directory.
cd ${SLURM_SUBMIT_DIR:-.} 2>&-
for SF_dir in $TMPDIR /tmp /dev/shm $PWD; do
	SF_dir=$(mktemp -d $SF_dir/slurm.XXXXXX 2>&-) && break
done || E cannot write to $TMPDIR /tmp /dev/shm $PWD
SF_file=$SF_dir/slurm_script
printf %s $SF_SCRIPT | base64 -d | ${SF_gzip:-cat} ${SF_gzip:+-d}>$SF_file && chmod 700 $SF_file || E cannot write $SF_file

# The #! line, read as the kernel reads it: blanks, interpreter, blanks, all the rest as one argument.
read -r SF_line<$SF_file
case $SF_line in
'#!'*) ;;
*) E the script has no '#!' line;;
esac
IFS=' 	!' read -r SF_line SF_prog SF_arg<$SF_file
# In slurmstepd's words.
[ -x ${SF_prog:-?} ] || E "bad interpreter($SF_prog): No such file or directory"

# Pipes: read ends 3 and 5, write ends 4 and 6. Opening both ways first keeps the one-way opens from waiting.
exec 4>&1 6>&2
[ $SF_FRAME = 1 ] && {
	cd $SF_dir
	mkfifo o e || E cannot make pipes in $SF_dir
	exec 9<>o 3<o 4>o 9<>e 5<e 6>e 9>&-
	cd $OLDPWD
	# sed needs stdbuf to let go of a line; sed -u reads byte by byte; mawk reads whole blocks, so only the awks that are
	# known to stream. Probed here: in the filters the sweep at the end could hit a probe.
	SF_filter=0
	case $(sed --version 2>&1) in
	sed*GNU*) SF_filter=3; hash stdbuf 2>&- && SF_filter=1;;
	esac
	case $SF_filter$(awk --version 2>&1) in
	1*) ;;
	?GNU*|*BusyBox*) SF_filter=2;;
	esac
	F o<&3 &
	SF_out=$!
	F e<&5 >&2 &
	SF_err=$!
}

# The script: standard input is /dev/null, as POSIX has it for a background command. The shell also made it ignore SIGINT
# and SIGQUIT, which no local job does: bash can undo that, elsewhere a recent env. A session of its own, as slurmstepd
# gives it, makes `kill 0` mean the script and its children.
{
	trap - INT QUIT
	X
	unset SF_SCRIPT SF_ENC SF_NONCE SF_FRAME
	set -- $SF_prog $SF_arg $SF_file "$@"
	hash setsid 2>&- && set -- setsid "$@"
	env --default-signal true 2>&- && set -- env --default-signal "$@"
	exec "$@"
}>&4 2>&6 &
SF_job=$!

# A fresh child still has our trap and would lose a SIGTERM; it is past that once it has closed its descriptor 4.
while [ -e /proc/$SF_job/fd/4 ]; do
	:
done
X
set +f
{
	# As slurmd does it, a stopped process is woken for its SIGTERM.
	trap 'SF_stop=1;K -TERM;kill -CONT -1' TERM
	[ $SF_stop ] && K -TERM
	# wait returns 143 when a SIGTERM interrupts it: the script still runs, or its code has still to be fetched.
	while SF_stop=; wait $SF_job; SF_rc=$?; [ $SF_stop$SF_rc = 1143 ]; do
		:
	done
	trap '' TERM
	# What the script left behind holds the pipes open. Stopped, nothing starts a new fork; a child of a fork that was under
	# way when the first sweep looked is there before its parent is killed, so the second sweep sees it.
	kill -STOP -1
	K -9
	K -9
	kill -CONT -1
	# A filter that was killed has lost output: no end mark then, so that the agent says it.
	wait $SF_err || SF_out=
	wait $SF_out || SF_out=
	# Only now, since in a full process table there is no room for rm.
	rm -r $SF_dir
} 2>/dev/null
[ $SF_out ] && {
	M o
	M e>&2
}
exit $SF_rc
