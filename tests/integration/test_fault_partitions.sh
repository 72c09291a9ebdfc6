# SPDX-License-Identifier: BSD-3-Clause
# Partitions while hosts keep asking for addresses: symmetric, in one direction only, and flapping. No address ever has two clients, the
# majority goes on, the minority says what is missing. About 100 s.
DEADLINE_S=120
. "$(dirname "$0")/faults.sh"

five_sites
echo "five sites serve after $SECONDS s"

# a and d alone, until after 61 s their addresses may go to others.
part "a d" "b c e"
until_s=$((SECONDS + 66))
wait_for "a to see that it is in a minority" degraded_by a "majority"
served b c e
echo "split: the majority serves, a says why not, at $SECONDS s"

# Meanwhile e is not heard by one voter, then does not hear another.
cut_off e b
served e
cut_off c e
served c
restore e b
restore c e
echo "cut in one direction, at $SECONDS s"

# And its links come and go, as does that of the two that are alone.
while ((SECONDS < until_s)); do
	for pair in "e b" "c e" "a d" "e c" "d a"; do
		cut_off $pair
		sleep 0.$((RANDOM % 9 + 1))
		((RANDOM % 2)) || restore $pair
	done
	for pair in "e b" "c e" "a d" "e c" "d a"; do restore $pair; done
done
heal
echo "healed at $SECONDS s"

# A voter that hears everybody and is heard by nobody.
for other in a c d e; do cut_off b $other; done
served a c d
heal
judged
