package phonefile_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestUnknownColumnsAreTold: what is in none of our fields is named once, so that nobody takes it for read. One that holds
// nothing is not, and names are masked like all that is shown.
func TestUnknownColumnsAreTold(t *testing.T) {
	many := "device,state"
	values := "SEP000AB8001C40,ok"
	for i := range 60 {
		many += fmt.Sprintf(",extra-%d", i)
		values += ",x"
	}
	for name, test := range map[string]struct{ content, want string }{
		"header":       {"device,state,Code,Floor\nSEP000AB8001C40,ok,x,1\nSEP000AB8001C41,ok,y,2\n", "records: \"Code\", \"Floor\"; where"},
		"empty":        {"device,state,Code\nSEP000AB8001C40,ok,\nSEP000AB8001C41,ok,\n", ""},
		"all known":    {"device,state\nSEP000AB8001C40,ok\n", ""},
		"masked":       {"device,state,Id 12345678\nSEP000AB8001C40,ok,x\n", "records: \"Id ********\"; where"},
		"long":         {"device,state," + strings.Repeat("n", 500) + "\nSEP000AB8001C40,ok,x\n", "\"" + strings.Repeat("n", 40) + "…\"; where"},
		"more than 50": {many + "\n" + values + "\n", "\"extra-49\" and others; where"},
	} {
		got := readAs(t, test.content, delimited())
		var told []string
		for _, finding := range got.findings {
			told = append(told, finding.Reason)
		}
		if all := strings.Join(told, "\n"); len(got.findings) > 1 || (test.want == "") != (all == "") || !strings.Contains(all, test.want) {
			t.Errorf("%s: told %q, want %q", name, all, test.want)
		}
	}
}
