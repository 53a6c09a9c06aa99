// Old certificates have keys of 512 bits; cmd/capf carries the same setting.
//
//go:debug rsa1024min=0

package machine_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"capf/legacy"
	"capf/legacy/certfile"
	"capf/legacy/dialect"
	"capf/legacy/machine"
	"capf/legacy/phonefile"
	"capf/legacy/source"
)

const samples = "../../testdata/legacy/"

var now = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// read is a machine with all its phone records.
type read struct {
	*machine.Machine
	records  []phonefile.Record
	kept     []string
	findings []legacy.Finding // of phone files
}

// openSource opens what is given as SOURCE until the test ends.
func openSource(t testing.TB, given string) *source.Source {
	t.Helper()
	spec, err := source.Parse(given)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := source.Open(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	return opened
}

func readMachine(t testing.TB, folder string, options machine.Options) read {
	t.Helper()
	opened := openSource(t, folder)
	made, err := machine.Read(opened, options)
	if err != nil {
		t.Fatal(err)
	}
	out := read{Machine: made}
	for item, err := range made.Items() {
		if err != nil {
			t.Fatal(err)
		}
		if item.Record != nil {
			out.records = append(out.records, *item.Record)
		}
		if item.Finding != nil {
			out.findings = append(out.findings, *item.Finding)
		}
		if item.Kept != nil {
			out.kept = append(out.kept, fmt.Sprintf("%d %s", item.Kept.Line, item.Kept.Reason))
		}
	}
	return out
}

func readCluster(t testing.TB) map[string]read {
	out := map[string]read{}
	for _, name := range []string{"publisher", "subscriber-1", "subscriber-2"} {
		out[name] = readMachine(t, samples+"cluster/"+name, machine.Options{Now: now})
	}
	return out
}

func TestSampleCounts(t *testing.T) {
	type counts struct {
		Dialect, Encoding                                string
		Records, Kept, Settings, OtherKept, Certificates int
	}
	want := map[string]counts{
		"publisher":    {"delimited", "utf-8", 13, 1, 12, 1, 9},
		"subscriber-1": {"delimited", "windows-1252", 35, 3, 12, 1, 4},
		"subscriber-2": {"blocks", "utf-8", 26, 14, 12, 1, 4},
	}
	devices := map[string]bool{}
	got := map[string]counts{}
	for name, read := range readCluster(t) {
		reading := read.PhoneFiles[0].Reading
		got[name] = counts{
			reading.Dialect.Name, string(reading.Encoding), len(read.records), len(read.kept),
			len(read.Settings()), len(read.Kept), len(read.Certificates),
		}
		for _, record := range read.records {
			devices[record.Device] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || len(devices) != 72 {
		t.Errorf("%d phones\n%s", len(devices), diff)
	}
}

func TestSampleKeptLines(t *testing.T) {
	cluster := readCluster(t)
	for name, want := range map[string][]string{
		"publisher": {"16 has 2 columns, the header has 8 (the file ends within the line)"},
		"subscriber-1": {
			`30 column "Operation": "Instal" is not a word of the dialect`,
			"31 has 8 columns, the header has 9",
			`32 column "Status Time": "********-02-30 14:03:57" is not a time in a format of the dialect`,
		},
	} {
		if diff := cmp.Diff(want, cluster[name].kept); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	second := cluster["subscriber-2"].kept
	if !strings.Contains(second[0], `209 record of lines 209 to 215: column "key size"`) ||
		!strings.Contains(second[7], "217 record of lines 217 to 223: line 219: no key and value") {
		t.Errorf("subscriber-2: %v", second)
	}
}

func find(t *testing.T, from read, device string) phonefile.Record {
	t.Helper()
	at := slices.IndexFunc(from.records, func(r phonefile.Record) bool { return r.Device == device })
	if at < 0 {
		t.Fatalf("%s is not on %s", device, from.Source.Name)
	}
	return from.records[at]
}

func TestSampleRecords(t *testing.T) {
	cluster := readCluster(t)
	umlaut := find(t, cluster["subscriber-1"], "SEP000F8F001F7A")
	if umlaut.Description != "Karl-Heinz Groß" || umlaut.Operation != legacy.OperationInstall || umlaut.KeySize != 2048 ||
		umlaut.AuthenticationMode != legacy.ModeAuthenticationString || umlaut.AuthenticationString.Reveal() != "0130123457" {
		t.Errorf("got %v", umlaut)
	}
	old, moved := find(t, cluster["publisher"], "SEP00112F001CF1"), find(t, cluster["subscriber-1"], "SEP00112F001CF1")
	if moved.State != legacy.StatePending || moved.StatusTime.Clock.Sub(old.StatusTime.Clock) < 26*time.Hour {
		t.Errorf("moved phone: %v, then %v", old, moved)
	}
	one, other := find(t, cluster["subscriber-1"], "SEP0012DA002578"), find(t, cluster["subscriber-2"], "SEP0012DA002578")
	options := []cmp.Option{
		cmp.Comparer(func(a, b legacy.Secret) bool { return a.Reveal() == b.Reveal() }),
		cmp.FilterPath(func(path cmp.Path) bool {
			return slices.Contains([]string{"Position", "Lines", "Offset", "Bytes"}, strings.TrimPrefix(path.Last().String(), "."))
		}, cmp.Ignore()),
	}
	if diff := cmp.Diff(one, other, options...); diff != "" {
		t.Errorf("the phone that is recorded twice: %s", diff)
	}
}

func TestSamplePending(t *testing.T) {
	pending := map[string]int{}
	for _, read := range readCluster(t) {
		for _, record := range read.records {
			if record.State != legacy.StatePending {
				continue
			}
			pending[string(record.Operation)+" "+string(record.AuthenticationMode)]++
			if (record.AuthenticationMode == legacy.ModeAuthenticationString) == record.AuthenticationString.IsZero() {
				t.Errorf("%v: mode and string do not go together", record)
			}
			if record.KeySize != 1024 && record.KeySize != 2048 {
				t.Errorf("%v: key size %d", record, record.KeySize)
			}
		}
	}
	want := map[string]int{
		"install authentication-string": 10, "install null-string": 9, "delete null-string": 1, "troubleshoot null-string": 1,
	}
	if diff := cmp.Diff(want, pending); diff != "" {
		t.Error(diff)
	}
}

func TestSampleCertificates(t *testing.T) {
	cluster := readCluster(t)
	var anchors, issued []string
	byName := map[string]certfile.Certificate{}
	for _, read := range cluster {
		for _, certificate := range read.Certificates {
			name := certificate.CommonName
			if certificate.SelfSigned && certificate.InCAPFFolder && certificate.NamesCAPF() {
				anchors = append(anchors, name)
				byName[name] = certificate
			}
			if certificate.Signature == certfile.NotSelfIssued {
				issued = append(issued, name+" by "+certificate.Parsed().Issuer.CommonName)
				if !certificate.InCAPFFolder {
					t.Errorf("%s is not in the CAPF folder", name)
				}
			}
		}
	}
	slices.Sort(anchors)
	if diff := cmp.Diff([]string{"CAPF-5D3A0C41", "CAPF-8E21F7B0", "CAPF-C406D92A"}, anchors); diff != "" || len(issued) != 6 {
		t.Errorf("%s, issued %v", diff, issued)
	}
	if first := byName["CAPF-5D3A0C41"].Parsed(); now.Before(first.NotAfter) {
		t.Error("the first generation is not expired")
	}
	if second := byName["CAPF-C406D92A"].Parsed(); now.After(second.NotAfter) {
		t.Error("the second generation is expired")
	}
	for _, certificate := range cluster["subscriber-1"].Certificates {
		issuer := byName["CAPF-8E21F7B0"].Parsed()
		if err := issuer.CheckSignature(certificate.Parsed().SignatureAlgorithm, certificate.Parsed().RawTBSCertificate, certificate.Parsed().Signature); err != nil {
			t.Errorf("%s: %v", certificate.CommonName, err)
		}
	}
}

// The CAPF.cer of the publisher is the certificate of the first generation; others in its folder are no anchors.
func TestSamplePublisherCertificates(t *testing.T) {
	publisher := readCluster(t)["publisher"]
	var cer certfile.Certificate
	signatures := map[certfile.SelfSignature]int{}
	for _, certificate := range publisher.Certificates {
		if certificate.IsCAPFCer {
			cer = certificate
		}
		signatures[certificate.Signature]++
	}
	if cer.Parsed() == nil || cer.CommonName != "CAPF-5D3A0C41" || cer.InCAPFFolder {
		t.Errorf("CAPF.cer: %+v", cer.Position)
	}
	if diff := cmp.Diff(map[certfile.SelfSignature]int{certfile.Right: 8, certfile.NotVerifiable: 1}, signatures); diff != "" {
		t.Error(diff)
	}
}

func TestSampleConfigurations(t *testing.T) {
	for name, read := range readCluster(t) {
		parameters := map[string]string{}
		for _, setting := range read.Settings() {
			if setting.Parameter != "" {
				parameters[setting.Parameter] = setting.Value.Reveal()
			}
			if strings.Contains(setting.String(), "notreallysecret") {
				t.Errorf("%v shows its value", setting.Position)
			}
		}
		want := map[string]string{
			"certificate-issuer": "CAPF", "duration-of-certificate-validity": "5", "key-size": "1024",
			"maximum-key-generation-time": "30", "maximum-key-generation-attempts": "3", "capf-phone-port": "3804",
			"scep-port-number": "80", "certificate-authority-address": "",
		}
		if diff := cmp.Diff(want, parameters); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestSampleConflict(t *testing.T) {
	east := readMachine(t, samples+"conflict/east", machine.Options{})
	west := readMachine(t, samples+"conflict/west", machine.Options{})
	for i, difference := range []time.Duration{0, 20 * time.Hour} {
		one, other := east.records[i], west.records[i]
		if one.Device != other.Device || other.StatusTime.Clock.Sub(one.StatusTime.Clock) != difference ||
			one.State == other.State && one.AuthenticationMode == other.AuthenticationMode {
			t.Errorf("no conflict: %v and %v", one, other)
		}
	}
}

// Reading leaves the tree as it is: names, contents and times of change.
func TestReadingChangesNothing(t *testing.T) {
	before := treeDigest(t)
	readCluster(t)
	readMachine(t, samples+"conflict/east", machine.Options{})
	if treeDigest(t) != before {
		t.Error("the tree has changed")
	}
}

func treeDigest(t *testing.T) [sha256.Size]byte {
	t.Helper()
	hash := sha256.New()
	err := filepath.WalkDir(samples, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(hash, path, info.Mode(), info.ModTime())
		if entry.IsDir() {
			return nil
		}
		content, err := os.ReadFile(path)
		hash.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return [sha256.Size]byte(hash.Sum(nil))
}

// The sample holds no private key, but for the one that was made for the sample's daemon, and stays small.
func TestSampleIsFitToBePublished(t *testing.T) {
	size := int64(0)
	err := filepath.WalkDir(samples, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if strings.Contains(string(content), "PRIVATE KEY") && path != filepath.Join(samples, "usecallmanager", "capf.pem") {
			t.Errorf("%s holds a private key", path)
		}
		size += int64(len(content))
		return err
	})
	if err != nil || size > 300<<10 {
		t.Errorf("%d bytes, %v", size, err)
	}
}

func write(t *testing.T, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return "machine=" + folder
}

func TestErrorsAreGathered(t *testing.T) {
	opened := openSource(t, write(t, map[string]string{"CAPF.phone": "hello\n", "CAPF.cfg": "hello\n", "x.0": "x\n"}))
	_, err := machine.Read(opened, machine.Options{})
	if err == nil || strings.Contains(err.Error(), "\n") {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"source machine: CAPF.phone: no dialect fits", "source machine: CAPF.cfg: no dialect fits"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
}

// A named dialect is used for the kinds of files that it describes, and the built-in ones for the others.
func TestNamedDialect(t *testing.T) {
	named, err := dialect.Parse([]byte("name = \"mine\"\nfiles = [\"phones\"]\nform = \"delimited\"\nseparators = [\"!\"]\n"), "mine.toml")
	if err != nil {
		t.Fatal(err)
	}
	folder := write(t, map[string]string{
		"CAPF.phone": "device!state\nSEP000AB8001C40!ok\n1\n2\n3\n", "CAPF.cfg": "KeySize=1024\n", "capf.PHONE": "",
	})
	got := readMachine(t, folder, machine.Options{Dialect: named})
	if len(got.records) != 1 || len(got.kept) != 3 || got.Configurations[0].Content.Dialect.Name != "blocks" {
		t.Errorf("got %v, kept %v", got.records, got.kept)
	}
}

func TestNothingToRead(t *testing.T) {
	got := readMachine(t, write(t, map[string]string{"CAPF.phone": "\x1a", "CAPF.cfg": "; x\n"}), machine.Options{})
	var reasons []string
	for _, finding := range got.Findings {
		reasons = append(reasons, finding.String())
	}
	for _, want := range []string{"CAPF.cfg: warning: has nothing to read in it", "CAPF.phone: warning: has nothing to read in it"} {
		if !slices.Contains(reasons, want) {
			t.Errorf("%q is not in %v", want, reasons)
		}
	}
}
