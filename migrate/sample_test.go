package migrate

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"capf/legacy/source"
	"capf/runtime/capf"
)

// TestSampleCluster takes the sample over, looks at it from all sides, and does it again.
func TestSampleCluster(t *testing.T) {
	specs, store := sampleCluster(), newMemoryStore()
	plan := mustPlan(t, specs, testOptions(), nil)
	report := mustRun(t, specs, testOptions(), store)
	want := capf.MigrationCounts{Records: 74, New: 72, History: 2, KeptAside: 33, Anchors: 3, Stored: 5, LSCs: 6, Pending: 21}
	if plan.Counts != want || report.Counts != want {
		t.Errorf("plan %+v\nrun  %+v\nwant %+v", plan.Counts, report.Counts, want)
	}
	if got := fmt.Sprint(plan.Pending); got != "[{authentication-string 10} {null-string 11}]" {
		t.Errorf("pending %s", got)
	}
	wantWarning(t, plan.Warnings, "null string: 11")
	wantWarning(t, plan.Warnings, "fewer than 6 digits: 1")
	if plan.Publisher != "publisher" || len(plan.Kept) != want.KeptAside || len(slices.Collect(plan.Phones)) != want.New {
		t.Errorf("publisher %q, %d lines kept, %d phones", plan.Publisher, len(plan.Kept), len(slices.Collect(plan.Phones)))
	}
	moved := store.phones["SEP00112F001CF1"]
	if moved.Imported.Machine != "subscriber-1" || moved.AuthString.Reveal() != "5926" || moved.Description != "M. Rossi (moved)" {
		t.Errorf("the phone that moved: %+v", moved.Phone)
	}
	if len(store.phones) != 72 || len(store.anchors) != 3 || len(store.certificates) != 6 || len(store.parameters) != 0 {
		t.Errorf("%d phones, %d anchors, %d LSCs, parameters %v", len(store.phones), len(store.anchors), len(store.certificates), store.parameters)
	}
	v := mustVerify(t, store, 0)
	if !v.OK() || v.Records != 74 || v.Phones != 72 || v.Certificates != 17 || v.KeptAside != 33 || len(v.Since) != 0 {
		t.Errorf("verification %+v", v)
	}
	dump := store.dump(t)
	again := mustRun(t, []source.Spec{specs[2], specs[0], specs[1]}, testOptions(), store)
	if !again.Already || again.Run != report.Run || again.Counts.Unchanged != 72 || store.dump(t) != dump {
		t.Errorf("the same again: %+v", again)
	}
	planned := mustPlan(t, specs, testOptions(), store)
	if c := planned.Counts; planned.Applied != report.Run || c.New+c.Updated+c.History+c.Anchors+c.Pending != 0 || c.Unchanged != 72 {
		t.Errorf("the plan of the same again: run %d, %+v", planned.Applied, planned.Counts)
	}
}

// TestSampleConflict: two machines that cannot be ordered.
func TestSampleConflict(t *testing.T) {
	specs, store := sample("conflict", "east", "west"), newMemoryStore()
	_, err := Run(context.Background(), specs, testOptions(), store, "tester")
	wantCode(t, err, capf.CodeConflict, "SEP000F8F002EB0", "equal times", "SEP000D29002FD7", "26 hours", "--prefer")
	_, err = Run(context.Background(), specs, preferring(PreferLatest), store, "tester")
	wantCode(t, err, capf.CodeConflict, "SEP000F8F002EB0")
	if strings.Contains(err.Error(), "SEP000D29002FD7") || len(store.applied) != 0 {
		t.Errorf("%v: the choice decides one of the two", err)
	}
	report := mustRun(t, specs, preferring("west"), store)
	if report.Counts.Conflicts != 2 || store.phones["SEP000F8F002EB0"].Last.Ending != capf.EndingFailed {
		t.Errorf("counts %+v, want both from west", report.Counts)
	}
}

// TestSourcesUntouched: the digest of all files and folders is the same afterwards, with their times.
func TestSourcesUntouched(t *testing.T) {
	specs := copied(t)
	before := listing(t, specs)
	store := newMemoryStore()
	if _, err := Inspect(context.Background(), specs, testOptions(), Masked); err != nil {
		t.Fatal(err)
	}
	mustPlan(t, specs, testOptions(), store)
	mustRun(t, specs, testOptions(), store)
	mustVerify(t, store, 0)
	if after := listing(t, specs); after != before {
		t.Errorf("before\n%safter\n%s", before, after)
	}
}

func listing(t *testing.T, specs []source.Spec) string {
	t.Helper()
	var out strings.Builder
	for _, spec := range specs {
		err := filepath.WalkDir(spec.Folder, func(path string, entry os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := entry.Info()
			if err != nil {
				return err
			}
			fmt.Fprintln(&out, path, info.Mode(), info.Size(), info.ModTime())
			if entry.IsDir() {
				return nil
			}
			content, err := os.ReadFile(path)
			fmt.Fprintln(&out, capf.HexSHA256(content))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// secrets finds the authentication strings and the passwords of sources.
func secrets(t *testing.T, specs []source.Spec) []string {
	t.Helper()
	var out []string
	find := regexp.MustCompile(`(?i)(?:By Authentication String;|authentication string=)([0-9]{4,10})|(?:Password=)([a-z]+)|(?m:^)([A-Za-z0-9+/]{64})\n`)
	for _, spec := range specs {
		for _, file := range []string{subscriberPhones, "Program Files/Cisco/CAPF/capf.PHONE", subscriberConfig, "key.0"} {
			content, err := os.ReadFile(filepath.Join(spec.Folder, filepath.FromSlash(file)))
			if err != nil {
				continue
			}
			for _, found := range find.FindAllStringSubmatch(string(content), -1) {
				out = append(out, found[1]+found[2]+found[3])
			}
		}
	}
	return out
}

// TestNoSecret: nothing that is shown or logged holds a string, a password or a line of a key, however it is printed.
func TestNoSecret(t *testing.T) {
	specs, store := copied(t), newMemoryStore()
	der, err := x509.MarshalPKCS8PrivateKey(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	folder := filepath.Join(specs[0].Folder, "Program Files/Cisco/CAPF")
	for _, path := range []string{filepath.Join(folder, "key.0"), filepath.Join(specs[0].Folder, "key.0")} {
		if err := os.WriteFile(path, key, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found := secrets(t, specs)
	if len(found) < 15 {
		t.Fatalf("only %d secrets in the sample", len(found))
	}
	ctx := context.Background()
	inspection, err := Inspect(ctx, specs, testOptions(), Masked)
	if err != nil {
		t.Fatal(err)
	}
	plan, report := mustPlan(t, specs, testOptions(), store), mustRun(t, specs, testOptions(), store)
	wantWarning(t, plan.Warnings, "private key")
	for _, kept := range store.applied[0].kept {
		if strings.Contains(string(kept.Bytes), "PRIVATE") || strings.HasSuffix(kept.File, "key.0") && kept.Bytes != nil {
			t.Errorf("%s:%d: bytes of a private key are stored", kept.File, kept.Line)
		}
	}
	edit(t, specs[1], subscriberPhones, "0130123457", "0130123456")
	verification := mustVerify(t, store, 0)
	_, conflict := Run(ctx, phoneFolders(t, map[string][]string{"x": {
		"SEP000F8F001F7A,Install,Pending,2005-03-29 13:00:00,By Authentication String,0130123457,,"}}), testOptions(), store, "tester")
	wantCode(t, conflict, capf.CodeConflict)
	for _, shown := range []any{inspection, plan, report, verification, conflict.Error()} {
		encoded, err := json.Marshal(shown)
		if err != nil {
			t.Fatal(err)
		}
		text := string(encoded) + fmt.Sprintf("%v %+v %#v", shown, shown, shown)
		for _, secret := range found {
			// A digest or a MAC address may hold four digits by chance.
			if regexp.MustCompile(`(^|[^0-9A-Fa-f:])` + regexp.QuoteMeta(secret) + `($|[^0-9A-Fa-f:])`).MatchString(text) {
				t.Errorf("%T shows a secret of %d characters", shown, len(secret))
			}
		}
	}
}
