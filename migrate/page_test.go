package migrate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"capf/runtime/capf"
)

func pageOf(t *testing.T, plan *Plan) string {
	t.Helper()
	var out bytes.Buffer
	if err := plan.WritePage(&out, "night <shift>"); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestPage: who, when, sources with digests, counts, what is missing, conflicts, operations, kept lines, certificates
// and the place to sign are there; authentication strings and anything to be loaded are not.
func TestPage(t *testing.T) {
	specs := append(sampleCluster(), sample("conflict", "east", "west")...)
	plan := mustPlan(t, specs[:len(specs)-1], testOptions(), nil)
	whole := mustPlan(t, append(specs[:1:1], specs[3:]...), preferring("west"), nil)
	text := pageOf(t, plan)
	for _, want := range []string{"night &lt;shift&gt;", "2026-03-01 12:00:00 UTC", plan.Sources[0].Digest, plan.Key, "A run can go on.",
		"By Null String", "closed environments only", "fewer than 6 digits", "CN=CAPF-5D3A0C41", "equals CAPF.cer of publisher", "do not edit by hand",
		"Lines kept aside: 33", "phones added", "the records of east say that 3 phones got an LSC there", "signature", "@page { size: A4"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	decided := pageOf(t, whole)
	for _, want := range []string{"equal times with different content", "<td>west CAPF.phone:2 at 2005-08-08T16:20:20</td>", "CAPF-C406D92A"} {
		if !strings.Contains(decided, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if found := regexp.MustCompile(`(?i)<script|<link|<img|<iframe|src=|href=|url\(|@import`).FindString(text + decided); found != "" {
		t.Errorf("the page has %q: it must need nothing beside it", found)
	}
	alone := pageOf(t, mustPlan(t, folders(t, map[string]map[string]string{"pub": {"CAPF.phone": header + "\n" + row("2005-01-01 10:00:00", "x") + "\n"}}), testOptions(), nil))
	if !strings.Contains(alone, "<td>pub .</td>") || strings.Contains(text+decided+alone, ":0</td>") {
		t.Error("a finding without a line has one on the page")
	}
	found := secrets(t, sampleCluster())
	if len(found) < 12 {
		t.Fatalf("only %d secrets in the sample", len(found))
	}
	for _, secret := range found {
		if regexp.MustCompile(`(^|[^0-9A-Fa-f:])` + regexp.QuoteMeta(secret) + `($|[^0-9A-Fa-f:])`).MatchString(text + decided) {
			t.Errorf("the page shows a secret of %d characters", len(secret))
		}
	}
}

// TestPageHostile: names, descriptions and lines of a source stay text.
func TestPageHostile(t *testing.T) {
	hostile := "<script>alert(1)</script>&\u202e"
	name := "a<b>'x"
	rows := []string{header, pendingRow, row("2005-01-01 10:00:00", hostile)}
	for n := range 30 {
		rows = append(rows, fmt.Sprintf("SEP0000000000%02X,Install,Operation Pending,2005-01-01 10:00:00,By Null String,,1024,%s", n, hostile))
	}
	rows = append(rows, "<img src=x onerror=alert(1)>,\u202e,x")
	specs := folders(t, map[string]map[string]string{name: {"CAPF.phone": strings.Join(rows, "\n"),
		"CAPF.cfg": "<b>=</td></table><script>\nSubscriber=evil.example\nTraceFolder=<svg onload=alert(1)>\n"}})
	plan := mustPlan(t, specs, testOptions(), nil)
	text := pageOf(t, plan)
	if len(plan.Conflicts) == 0 || len(plan.Kept) == 0 {
		t.Fatalf("%d conflicts, %d lines kept: the text is nowhere", len(plan.Conflicts), len(plan.Kept))
	}
	if found := regexp.MustCompile(`(?i)<script|<img|<svg|<b>'|[\x00-\x08\x0b-\x1f\x{202e}]`).FindString(text); found != "" {
		t.Errorf("the page has %q", found)
	}
	if !strings.Contains(text, "&lt;script&gt;alert(1)&lt;/script&gt;") || !strings.Contains(text, "a&lt;b&gt;&#39;x") {
		t.Error("the text itself is missing")
	}
	var decisions bytes.Buffer
	if err := plan.WriteDecisions(&decisions); err != nil {
		t.Fatal(err)
	}
	if _, err := parseDecisions(decisions.Bytes(), "d.toml"); err != nil {
		t.Errorf("the decisions cannot be read back: %v\n%s", err, decisions.String())
	}
}

// TestPageLong: of long lists the beginning is there, with the number of the rest.
func TestPageLong(t *testing.T) {
	plan := mustPlan(t, sampleCluster(), testOptions(), nil)
	plan.Kept = slices.Repeat(plan.Kept[:1], mostOnPage+7)
	text := pageOf(t, plan)
	if !strings.Contains(text, "And 7 more") || !strings.Contains(text, fmt.Sprintf("Lines kept aside: %d", mostOnPage+7)) {
		t.Error("the page does not say how many lines are left out")
	}
}

// TestPlanJSON holds the names that scripts rely on.
func TestPlanJSON(t *testing.T) {
	plan := mustPlan(t, sample("conflict", "east", "west"), testOptions(), nil)
	var direct bytes.Buffer
	if err := plan.WriteJSON(&direct); err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	for _, text := range [][]byte{direct.Bytes(), encoded} {
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if phones := got["phones"].([]any); len(phones) != 2 || phones[1].(map[string]any)["device"] != "SEP000D29003139" || got["ready"] != false {
			t.Errorf("phones %v, ready %v", phones, got["ready"])
		}
		for _, name := range []string{"at", "key", "missing", "accept-missing", "decisions", "sources", "counts", "conflicts", "pending",
			"kept-aside", "certificates", "settings", "warnings", "findings"} {
			if _, there := got[name]; !there {
				t.Errorf("%s is not there", name)
			}
		}
	}
	conflict := got["conflicts"].([]any)[0].(map[string]any)
	if version := conflict["versions"].([]any)[0].(map[string]any); version["choice"] != "east" || len(conflict["digest"].(string)) != 64 {
		t.Errorf("conflict %v", conflict)
	}
	none := mustPlan(t, folders(t, map[string]map[string]string{"a": {"CAPF.cfg": "KeySize=1024\n"}}), testOptions(), nil)
	direct.Reset()
	if err := none.WriteJSON(&direct); err != nil || json.Unmarshal(direct.Bytes(), &got) != nil || got["phones"] == nil || len(got["phones"].([]any)) != 0 {
		t.Errorf("%v: without phones the document is %s", err, direct.String())
	}
	if none.Counts != (capf.MigrationCounts{}) || !none.Ready {
		t.Errorf("plan %+v", none.Counts)
	}
}
