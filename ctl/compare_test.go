package ctl

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestCompare changes one thing of the sample and looks at what is said about it.
func TestCompare(t *testing.T) {
	third := loadToken(t, "512").Certificate
	until := "valid 2026-11-22T20:27:11Z to 2049"
	cases := []struct {
		name   string
		change func(*Contents)
		signer string
		want   []string // one for each line but the first; what it contains
	}{
		{"a server less", func(c *Contents) { c.Servers = c.Servers[:1] }, "", []string{`tftp 10.1.2.4 removed: SERIALNUMBER=42+CN=tftp.example`}},
		{"a server more", func(c *Contents) {
			c.Servers = append(c.Servers, Server{Name: "sub", Address: netip.MustParseAddr("10.1.2.5"), Role: RoleCCM, Certificate: c.Servers[0].Certificate})
		}, "", []string{"ccm sub (10.1.2.5) added: CN=publisher.example"}},
		{"a certificate replaced", func(c *Contents) { c.Servers[0].Certificate = c.Servers[1].Certificate }, "",
			[]string{"ccm+tftp publisher.example (10.1.2.3) replaced: from CN=publisher.example,OU=CallManager,O=Example serial f00d0001, RSA 2048, " + until}},
		{"another address", func(c *Contents) { c.Servers[0].Address = netip.MustParseAddr("10.1.2.9") }, "",
			[]string{"ccm+tftp publisher.example (10.1.2.9) changed: CN=publisher.example,OU=CallManager,O=Example serial f00d0001, RSA 2048"}},
		{"another role", func(c *Contents) { c.Servers[0].Role = RoleCCM }, "", []string{"; FUNCTION from CCM+TFTP to CCM"}},
		{"another name", func(c *Contents) { c.Servers[0].DNSName = "pub2" }, "", []string{"; DNSNAME from publisher.example to pub2"}},
		{"another token", func(c *Contents) { c.Tokens[1].Certificate = third }, "",
			[]string{"token removed: CN=SAST-2048,OU=Security Tokens,O=Example serial 20480001, RSA 2048", "token added: CN=SAST-0512"}},
		{"tokens the other way round", func(c *Contents) { slices.Reverse(c.Tokens) }, "", []string{"what both have stands in another order"}},
		{"later", func(c *Contents) { c.Timestamp = c.Timestamp.Add(time.Second) }, "",
			[]string{"header: TIMESTAMP from 2004-11-09T11:33:20Z to 2004-11-09T11:33:21Z"}},
		{"the other signer", func(*Contents) {}, "2048", []string{"header: SIGNERNAME from CN=SAST-1024,OU=Security Tokens,O=Example to CN=SAST-2048",
			"header: SERIALNUMBER", "header: CANAME", "header: SIGNATUREMODULUS from 1024 bits to 2048 bits"}},
		{"another digest, version 1.1", func(c *Contents) { c.Digest, c.SignerVersion = SHA512, SignerVersion11 }, "",
			[]string{"header: DIGESTALGORITHM from sha1 to sha512", "header: SIGNERVERSION from 1.0 to 1.1"}},
		{"no signer version", func(c *Contents) { c.SignerVersion = SignerVersionOmitted }, "", []string{"header: SIGNERVERSION 1.0 is gone"}},
	}
	from := goldens(t)[0]
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			contents, signer := sampleContents(t), "1024"
			c.change(&contents)
			if c.signer != "" {
				signer = c.signer
			}
			checkDifference(t, from, mustBuild(t, contents, loadToken(t, signer)), c.want)
		})
	}
}

// checkDifference wants each of the lines, in any order, and no other.
func checkDifference(t *testing.T, from, to []byte, want []string) *Difference {
	t.Helper()
	difference, err := Compare(from, to)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := difference.Print(&text, "A", "B"); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
	if lines[0] != "From A to B:" || difference.Equal {
		t.Errorf("begins with %q, equal: %v", lines[0], difference.Equal)
	}
	for _, words := range want {
		i := slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line, words) })
		if i < 0 {
			t.Errorf("no line with %q in\n%s", words, text.String())
			continue
		}
		lines = slices.Delete(lines, i, i+1)
	}
	if len(lines) > 1 {
		t.Errorf("more lines than were expected: %q", lines[1:])
	}
	return difference
}

func TestCompareEqual(t *testing.T) {
	raw := goldens(t)[0]
	difference, err := Compare(raw, raw)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := difference.Print(&text, "A", "B"); err != nil || text.String() != "A and B are equal.\n" {
		t.Errorf("%q, %v", text.String(), err)
	}
	shown, err := json.Marshal(difference)
	if want := `{"equal":true,"header":[],"records":[],"reordered":false}`; err != nil || string(shown) != want {
		t.Errorf("%s instead of %s, %v", shown, want, err)
	}
	if len(difference.Lost()) > 0 {
		t.Errorf("lost: %q", difference.Lost())
	}
	for _, pair := range [][2][]byte{{raw[:90], raw}, {raw, raw[:90]}} {
		if difference, err := Compare(pair[0], pair[1]); err == nil || difference != nil {
			t.Errorf("half a list is compared: %v", difference)
		}
	}
}

// TestLost has a list of another maker, with what no list of ours carries on, and the one that follows it.
func TestLost(t *testing.T) {
	file, err := Decode(goldens(t)[0])
	if err != nil {
		t.Fatal(err)
	}
	file.Elements = append(file.Elements[:len(file.Elements)-file.padding()], Element{Tag: 99, Value: []byte("header")})
	file.Records[2].Elements = append(file.Records[2].Elements, Element{Tag: 77, Value: []byte("record")}, Element{Tag: 77})
	file.Records = append(file.Records, Record{Elements: append([]Element{{}}, hashRecord...)},
		Record{Elements: append([]Element{{}, {Tag: TagRole, Value: []byte{0, 50}}}, hashRecord[1:]...)})
	raw := resign(t, file, loadToken(t, "1024"))
	foreign, err := Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"byte 292 (header): TAG 99, 6 bytes", "byte 4347 (record 3): TAG 77, 6 bytes", "byte 4356 (record 3): TAG 77, 0 bytes",
		"byte 6627 (record 7): role 50"}, foreign.Unknown()); diff != "" {
		t.Errorf("unknown (-want +got):\n%s", diff)
	}
	difference := checkDifference(t, raw, goldens(t)[0], []string{"header: TAG 99 68:65:61:64:65:72 is gone", "; TAG 77 72:65:63:6F:72:64 is gone",
		"capf removed:  serial , the hash 31323334353637383930", "role 50 removed"})
	lost := difference.Lost()
	for i, want := range []string{"header: TAG 99", "ccm+tftp publisher.example (10.1.2.3): TAG 77", "capf: ", "role 50: "} {
		if len(lost) != 4 || !strings.HasPrefix(lost[i], want) {
			t.Errorf("lost %d: %q, not %q", i, lost, want)
		}
	}
	if more, err := Compare(goldens(t)[0], raw); err != nil || len(more.Lost()) != 0 {
		t.Errorf("what is new is lost: %q, %v", more.Lost(), err)
	}
}

// padding counts the bare elements at the header's end.
func (f *File) padding() (count int) {
	for _, element := range f.Elements {
		if element.Bare {
			count++
		}
	}
	return count
}
