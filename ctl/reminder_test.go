package ctl

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// endsAt makes a certificate that ends then.
func endsAt(t *testing.T, name string, serial int64, end time.Time) *x509.Certificate {
	t.Helper()
	key := ecKey(t)
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, SerialNumber: big.NewInt(serial), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return certificateOf(t, der)
}

func decoded(t *testing.T, raw []byte) *File {
	t.Helper()
	file, err := Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// TestRemindOfContents changes what a new list would be made of.
func TestRemindOfContents(t *testing.T) {
	now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	later := Server{Name: "later", Address: netip.MustParseAddr("10.1.2.6"), Role: RoleTFTP, Certificate: loadCertificate(t, "publisher")}
	cases := []struct {
		name   string
		change func(*Contents)
		want   []string // kind and a part of the text
	}{
		{"nothing", func(*Contents) {}, nil},
		{"another CAPF certificate", func(c *Contents) { c.CAPF[0].Certificate = loadCertificate(t, "publisher") },
			[]string{"capf-missing|CAPF certificate (serial f00d0001): phones will refuse it until `capf ctl build`"}},
		{"the next CAPF certificate", func(c *Contents) {
			c.CAPF = append(c.CAPF, Server{Name: "pub", Certificate: loadCertificate(t, "publisher")})
		},
			[]string{"capf-missing|serial f00d0001"}},
		{"a token more", func(c *Contents) {
			c.Tokens = append(c.Tokens, SAST{Name: "third", Certificate: loadToken(t, "512").Certificate})
		},
			[]string{"outdated|the list lacks, or has another certificate of: token third; bring"}},
		{"a server more", func(c *Contents) { c.Servers = append(c.Servers, later) }, []string{"outdated|of: tftp later; bring"}},
		{"a server less", func(c *Contents) { c.Servers = c.Servers[:1] }, []string{"outdated|that the cluster has no more: tftp 10.1.2.4; phones trust them"}},
		{"another role", func(c *Contents) { c.Servers[0].Role = RoleCCM }, []string{"outdated|of: ccm pub; bring", "outdated|no more: ccm+tftp publisher.example;"}},
		{"a server without a certificate", func(c *Contents) { later.Certificate = nil; c.Servers = append(c.Servers, later) }, nil},
	}
	list := decoded(t, goldens(t)[0])
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			contents := sampleContents(t)
			c.change(&contents)
			checkReminders(t, Remind(list, &contents, now), c.want)
		})
	}
	contents := sampleContents(t)
	checkReminders(t, Remind(nil, &contents, now), nil)
	checkReminders(t, Remind(list, nil, now), nil)
}

func checkReminders(t *testing.T, got []Reminder, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d reminders instead of %d: %v", len(got), len(want), got)
	}
	for i, one := range want {
		kind, words, _ := strings.Cut(one, "|")
		if string(got[i].Kind) != kind || !strings.Contains(got[i].String(), words) || strings.Contains(got[i].Text, "\n") {
			t.Errorf("%s: %q instead of %s: %q", got[i].Kind, got[i].Text, kind, words)
		}
	}
}

// TestRemindOfEnds has certificates near their end, in a list and in what a new one would be made of: each once, the
// nearest first.
func TestRemindOfEnds(t *testing.T) {
	now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	contents := sampleContents(t)
	for i, end := range []time.Duration{-time.Second, 0, ExpiresShort - time.Second, ExpiresShort, ExpiresSoon - time.Second, ExpiresSoon} {
		name := string(rune('a' + i))
		contents.Servers = append(contents.Servers, Server{Name: name, Address: netip.MustParseAddr("10.1.2.7"), Role: RoleCCM,
			Certificate: endsAt(t, name, int64(100+i), now.Add(end))})
	}
	contents.CAPF[0].Certificate = endsAt(t, "CAPF-x", 200, now.Add(-time.Hour))
	want := []string{
		"expired|the certificate of CAPF (serial c8) ended on 2026-12-31T23:00:00Z: see `capf ca renew`",
		"expired|node a (serial 64) ended on 2026-12-31T23:59:59Z: renew it on that server, then `capf node set NAME --certificate FILE`",
		"expires-within-30-days|node b (serial 65) ends on 2027-01-01T00:00:00Z",
		"expires-within-30-days|node c", "expires-within-90-days|node d", "expires-within-90-days|node e",
	}
	checkReminders(t, Remind(nil, &contents, now), want)
	list := decoded(t, mustBuild(t, contents, loadToken(t, "1024")))
	checkReminders(t, Remind(list, &contents, now), want)
	for i, of := range []string{"record 11 of the list, capf publisher.example", "record 5 of the list, ccm a", "record 6", "record 7", "record 8", "record 9"} {
		kind, _, _ := strings.Cut(want[i], "|")
		want[i] = kind + "|the certificate of " + of
	}
	checkReminders(t, Remind(list, nil, now), want)
	tokens := Remind(list, nil, loadToken(t, "1024").Certificate.NotAfter.Add(-ExpiresShort))
	if !slices.ContainsFunc(tokens, func(one Reminder) bool {
		return one.Kind == RemindSoon && strings.Contains(one.Text, "record 1 of the list, sast CN=SAST-1024") && strings.Contains(one.Text, "add another token in time")
	}) {
		t.Errorf("tokens: %v", tokens)
	}
}
