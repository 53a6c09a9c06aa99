package migrate

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"capf/legacy/source"
	"capf/runtime/capf"
)

func TestInspect(t *testing.T) {
	inspection, err := Inspect(context.Background(), sampleCluster(), testOptions(), Masked)
	if err != nil {
		t.Fatal(err)
	}
	if len(inspection.Problems) != 0 || len(inspection.Machines) != 3 {
		t.Fatalf("%d machines, problems %q", len(inspection.Machines), inspection.Problems)
	}
	m := inspection.Machines[1]
	if m.Machine != "subscriber-1" || len(m.Files) != 6 || len(m.Certificates) != 4 || len(m.Settings) == 0 {
		t.Errorf("machine %+v", m)
	}
	var phones InspectedFile
	for _, file := range m.Files {
		if file.Kind == source.PhoneRecords {
			phones = file
		}
	}
	if phones.Dialect != "delimited" || phones.Why == "" || phones.Encoding != "windows-1252" || phones.Records != 35 || phones.Kept != 3 ||
		len(phones.SHA256) != 64 || phones.Size == 0 || len(phones.First) != firstRecords {
		t.Errorf("phone file %+v", phones)
	}
	want := "[{device SEP00112F001CF1 Device Name 2 1 15} {operation install Operation 2 17 31} {state pending Status 2 33 49} " +
		"{status time 2005-06-29T14:00:00 Status Time 2 51 69} {authentication mode authentication-string Authentication Mode 2 71 94} " +
		"{authentication string ******** Authentication String 2 96 99} {key size 1024 Key Size 2 101 104} " +
		"{description M. Rossi (moved) Description 2 107 122} {not used Floor 4 location 2 125 131}]"
	if got := fmt.Sprint(phones.First[0].Fields); got != want {
		t.Errorf("first record\n%s, want\n%s", got, want)
	}
	if kept := m.Kept[len(m.Kept)-1]; kept.Reason == "" || kept.Line != 32 || !strings.Contains(kept.Text, "Kiosk") {
		t.Errorf("line kept aside %+v", kept)
	} else if got := fmt.Sprint(kept.Fields[0], kept.Fields[1], kept.Fields[3]); got != "{device SEP********F002C27 Device Name 32 1 15} "+
		"{operation No Pending Operation Operation 32 17 36} {status time ********-02-30 14:03:57 Status Time 32 54 72}" {
		t.Errorf("fields of a line kept aside: %s", got)
	}
}

// TestInspectLongLine: a line of any length is counted whole, and only its beginning is shown.
func TestInspectLongLine(t *testing.T) {
	specs := folders(t, map[string]map[string]string{"a": {
		"CAPF.phone": header + "\n" + strings.Repeat(device+",install,pending,,authentication string,47110815,,\n", 30) + strings.Repeat("ä;", 5000) + "\n",
	}})
	for _, view := range []View{Masked, Revealed} {
		inspection, err := Inspect(context.Background(), specs, testOptions(), view)
		if err != nil || len(inspection.Problems) != 0 {
			t.Fatal(inspection.Problems, err)
		}
		kept := inspection.Machines[0].Kept
		if len(kept) != 1 || len(kept[0].Text) > 1100 || !strings.HasPrefix(kept[0].Text, "ä;ä;") || !strings.HasSuffix(kept[0].Text, "… (14000 bytes more)") {
			t.Errorf("kept aside: %+v", kept)
		}
	}
}

// TestInspectRevealed: what is masked otherwise is shown, but for private keys.
func TestInspectRevealed(t *testing.T) {
	specs := folders(t, map[string]map[string]string{"a": {
		"CAPF.phone": header + "\n" + device + ",install,pending,,authentication string,47110815,,Room 4712\n" + device + ",instal,,,,47110816,,\n" +
			"-----BEGIN PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END PRIVATE KEY-----\n" + strings.Repeat(device+",install,pending,,authentication string,47110815,,\n", 30),
		"CAPF.cfg": "KeySize=1024\nTracePassword=geheim\n",
	}})
	for _, view := range []View{Masked, Revealed} {
		inspection, err := Inspect(context.Background(), specs, testOptions(), view)
		if err != nil || len(inspection.Problems) != 0 {
			t.Fatal(inspection.Problems, err)
		}
		shown := fmt.Sprintf("%+v", inspection)
		for _, secret := range []string{"47110815", "Room 4712", "47110816", "geheim"} {
			if strings.Contains(shown, secret) != (view == Revealed) {
				t.Errorf("revealed %v: %q is among it or is not", view, secret)
			}
		}
		if strings.Contains(shown, "MIIE") {
			t.Errorf("text of a private key is shown")
		}
		if !strings.Contains(shown, twiceInFile) || inspection.Machines[0].Settings[1].From != 15 {
			t.Errorf("inspection %s", shown)
		}
	}
}

// TestInspectProblems: what can be read is shown beside what cannot, and why.
func TestInspectProblems(t *testing.T) {
	specs := append(folders(t, map[string]map[string]string{"a": {
		"CAPF/CAPF.phone": "neither\nthis\nnor that\n", "CAPF/CAPF.cfg": "KeySize=2048\n", "CAPF/empty.0": "",
	}}), source.Spec{Name: "b", Folder: "not-there"})
	inspection, err := Inspect(context.Background(), specs, testOptions(), Masked)
	if err != nil {
		t.Fatal(err)
	}
	if len(inspection.Problems) != 2 || !strings.Contains(inspection.Problems[0], "no dialect fits") ||
		!strings.Contains(inspection.Problems[1], "not-there") {
		t.Errorf("problems %q", inspection.Problems)
	}
	if len(inspection.Machines) != 1 || len(inspection.Machines[0].Files) != 3 || len(inspection.Machines[0].Settings) != 1 {
		t.Errorf("machines %+v", inspection.Machines)
	}
	_, err = NewPlan(context.Background(), specs[:1], testOptions(), nil)
	wantCode(t, err, capf.CodeUnavailable, "no dialect fits")
}

// TestCancelled: who gives up is not kept waiting, and nothing is stored.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	store := newMemoryStore()
	if _, err := Run(ctx, sampleCluster(), testOptions(), store, "tester"); err == nil || len(store.applied) != 0 {
		t.Errorf("a run that was cancelled: %v, %d runs", err, len(store.applied))
	}
	if _, err := Inspect(ctx, sampleCluster(), testOptions(), Masked); err == nil {
		t.Error("an inspection that was cancelled goes on")
	}
}

// TestProgress: every record is told of, in the end all of them.
func TestProgress(t *testing.T) {
	var told [][2]int
	options := testOptions()
	options.Progress = func(phase Phase, done, total int) {
		if phase == PhaseRecords {
			told = append(told, [2]int{done, total})
		}
	}
	mustRun(t, sampleCluster(), options, newMemoryStore())
	if len(told) != 3 || told[2] != [2]int{74, 74} {
		t.Errorf("told %v, want a batch a machine and 74 of 74 in the end", told)
	}
}

// TestEndedOperation: the word for the state may name the operation, in every form of a file.
func TestEndedOperation(t *testing.T) {
	block := func(state string) string { return "device=" + device + "\r\noperation=none\r\nstate=" + state + "\r\n" }
	line := func(state string) string { return header + "\n" + device + ",none," + state + ",,,,,Upgrade later\n" }
	for _, test := range []struct {
		content string
		want    capf.Operation
		doubt   bool
	}{
		{block("Delete Success"), capf.OperationDelete, false},
		{block("troubleshoot failed"), capf.OperationTroubleshoot, false},
		{block("success"), capf.OperationInstall, true},
		{line("Upgrade Failed"), capf.OperationInstall, false},
		{line("Delete Failed"), capf.OperationDelete, false},
		{line("Troubleshoot Success"), capf.OperationTroubleshoot, false},
		{line("done"), capf.OperationInstall, true},
		{utf16(line("Delete Success")), capf.OperationDelete, false},
	} {
		specs := folders(t, map[string]map[string]string{"a": {"CAPF.phone": test.content}})
		store := newMemoryStore()
		plan := mustPlan(t, specs, testOptions(), store)
		mustRun(t, specs, testOptions(), store)
		if got := store.phones[device].Last.Operation; got != test.want {
			t.Errorf("%q: %s, want %s", test.content, got, test.want)
		}
		if doubt := strings.Contains(fmt.Sprint(plan.Findings), "nothing says which"); doubt != test.doubt {
			t.Errorf("%q: findings %v", test.content, plan.Findings)
		}
	}
}

// utf16 is a text of ASCII in UTF-16, with its mark.
func utf16(text string) string {
	out := []byte{0xff, 0xfe}
	for i := range len(text) {
		out = append(out, text[i], 0)
	}
	return string(out)
}
