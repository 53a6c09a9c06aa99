package migrate

import (
	"context"
	"strings"
	"testing"

	"capf/runtime/capf"
)

// TestNothingRecognised: files that bear the names and are none of CAPF's are no success, in a plan, a run or beside
// another machine; one thing that is recognised is enough.
func TestNothingRecognised(t *testing.T) {
	own, other := issue(t, "CAPF-11111111", nil), issue(t, "tomcat", nil)
	for name, test := range map[string]struct {
		files map[string]string
		want  string // in the error; empty: none
	}{
		"an empty file of phones":    {map[string]string{"CAPF.phone": ""}, "there is only CAPF.phone of 0 bytes"},
		"a certificate that is none": {map[string]string{"CAPF/x.0": "x", "CAPF/CAPF.cfg": "\r\n"}, "there is only CAPF/CAPF.cfg of 2 bytes, CAPF/x.0 of 1 bytes"},
		"a list that is none":        {map[string]string{"CAPF/x.0": "x", "CAPF/y.csv": "a,b\n1,2\n"}, "CAPF/y.csv of 8 bytes"},
		"nothing but a header":       {map[string]string{"CAPF.phone": header + "\n"}, ""},
		"a certificate of no CAPF":   {map[string]string{"Certificates/x.0": other.inPEM()}, ""},
		"a setting":                  {map[string]string{"CAPF.cfg": "KeySize=1024\n"}, ""},
		"the CAPF certificate":       {map[string]string{"CAPF.cer": string(own.der)}, ""},
		"a phone, and an empty file": {map[string]string{"CAPF.phone": phoneFile(pendingRow), "x.0": ""}, ""},
	} {
		specs := folders(t, map[string]map[string]string{"a": test.files, "b": {"CAPF.phone": phoneFile(pendingRow)}})
		store := newMemoryStore()
		_, err := Run(context.Background(), specs, testOptions(), store, "tester")
		found, inspected := Inspect(context.Background(), specs, testOptions(), Masked)
		if inspected != nil {
			t.Fatal(inspected)
		}
		switch problems := strings.Join(found.Problems, "\n"); {
		case test.want == "" && (err != nil || problems != ""):
			t.Errorf("%s: %v, %s", name, err, problems)
		case test.want == "":
		case !strings.Contains(problems, test.want) || len(store.applied) > 0:
			t.Errorf("%s: problems %q, %d runs", name, problems, len(store.applied))
		default:
			wantCode(t, err, capf.CodeUnavailable, "source a: nothing of a CAPF was recognised", "looked for phones in CAPF.phone", test.want)
		}
	}
}
