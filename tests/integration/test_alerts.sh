#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The alert rules and the dashboard: promtool accepts every expression, each alert fires when it should and is silent when all is well, and
# every metric that they name is one of the exporter's. (That the exporter exports it: test_operator.)
. "$(dirname "$0")/begin.sh"
command -v jq >/dev/null || { echo "needs jq"; exit 77; }
promtool=$(fetch_promtool) || { echo "needs promtool (Debian package prometheus)"; exit 77; }
mkdir -p "$STATE"
cd "$STATE"

echo "== rules"
cp "$TOP/config/prometheus/causeway.rules.yml" "$TOP/tests/integration/prometheus_rules_test.yml" .
"$promtool" check rules causeway.rules.yml || fail "the rules"
"$promtool" test rules prometheus_rules_test.yml || fail "the alerts"
for alert in $(sed -n 's/.*- alert: //p' causeway.rules.yml); do
	grep -q "alertname: $alert" prometheus_rules_test.yml || fail "no test lets $alert fire"
done

echo "== dashboard"
jq -r '[.. | objects | .expr? // empty] | {groups: [{name: "dashboard", rules: [to_entries[] | {record: "panel\(.key)", expr: (.value | gsub("\\$__rate_interval"; "5m") | gsub("\\$instance"; ".*"))}]}]}' \
	"$TOP/config/grafana/causeway.json" >dashboard.yml
[ "$(jq '.groups[0].rules | length' dashboard.yml)" -ge 10 ] || fail "no expressions in the dashboard"
"$promtool" check rules dashboard.yml || fail "the dashboard's expressions"

echo "== names"
for name in $(grep -ohE 'causeway_[a-z_]+' causeway.rules.yml dashboard.yml | sort -u); do
	grep -q "\"$name\"" "$TOP/app/causewayctl/metrics.c" || fail "$name is no metric of the exporter"
done
echo "all of it holds"
