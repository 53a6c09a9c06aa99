package migrate

import (
	"context"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
)

// TestTornKeysAreNowhere: whatever is left of a private key, and wherever it stands, nothing of it is stored or shown, and
// no phone beside it is lost.
func TestTornKeysAreNowhere(t *testing.T) {
	der := make([]byte, 600)
	for i := range der {
		der[i] = byte(i*i*31 + i*7)
	}
	whole := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der}))
	lines := strings.SplitAfter(whole, "\n")
	noEnd, noBegin, middle := strings.Join(lines[:len(lines)-2], ""), strings.Join(lines[1:], ""), strings.Join(lines[4:8], "")
	certificate := issue(t, "CAPF-1", nil).inPEM()
	rows := func(from int) (out string) {
		for i := range 20 {
			out += fmt.Sprintf("SEP0000000000%02d,install,pending,,null string,,1024,\n", from+i)
		}
		return out
	}
	for form, key := range map[string]string{
		"whole": whole, "no END": noEnd, "no BEGIN": noBegin, "two": whole + noEnd, "in a comment": "# " + strings.Join(lines[:len(lines)-2], "# "),
		"in a record": "SEP000000000099,install,pending,,null string,,1024," + strings.ReplaceAll(strings.TrimSpace(whole), "\n", `\n`) + "\n",
		"indented":    "    " + strings.Join(lines[:len(lines)-2], "    "), "CRLF": strings.ReplaceAll(noEnd, "\n", "\r\n"),
	} {
		for place, phones := range map[string]string{
			"top": key + header + "\n" + rows(0) + rows(20), "middle": header + "\n" + rows(0) + key + rows(20), "end": header + "\n" + rows(0) + rows(20) + key,
		} {
			name := form + ", " + place
			specs := folders(t, map[string]map[string]string{"m": {
				"CAPF.phone": phones, "before.0": key + certificate, "after.0": certificate + key, "middle.0": certificate + middle + certificate,
				"CAPF.cfg": "KeySize=1024\n" + key,
			}})
			store := newMemoryStore()
			plan, report := mustPlan(t, specs, testOptions(), nil), mustRun(t, specs, testOptions(), store)
			inspection, err := Inspect(context.Background(), specs, testOptions(), Revealed)
			if err != nil || len(inspection.Problems) != 0 {
				t.Fatal(name, inspection.Problems, err)
			}
			if report.Counts.Records != 40 || len(store.phones) != 40 {
				t.Errorf("%s: %d records, %d phones", name, report.Counts.Records, len(store.phones))
			}
			stored := ""
			for _, run := range store.applied {
				for _, r := range run.records {
					stored += string(r.Raw)
				}
				for _, k := range run.kept {
					stored += string(k.Bytes)
				}
			}
			for where, text := range map[string]string{
				"the store": stored, "the plan": fmt.Sprintf("%+v", plan), "the report": fmt.Sprintf("%+v", report), "the inspection": fmt.Sprintf("%+v", inspection),
			} {
				for _, line := range lines[1 : len(lines)-2] {
					if line = strings.TrimSpace(line); strings.Contains(text, line[:12]) || strings.Contains(text, line[len(line)-12:]) {
						t.Errorf("%s: key text is in %s", name, where)
						break
					}
				}
			}
			if v := mustVerify(t, store, report.Run); !v.OK() {
				t.Errorf("%s: %+v", name, v)
			}
		}
	}
}
