package ctl

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// smallCertificate makes a self-signed certificate with a key of that kind.
func smallCertificate(t *testing.T, subject pkix.Name, key crypto.Signer) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{Subject: subject, SerialNumber: big.NewInt(1), NotAfter: time.Unix(2e9, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return certificateOf(t, der)
}

func ecKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestValidateFindsEverything(t *testing.T) {
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	odd := smallCertificate(t, pkix.Name{CommonName: "odd"}, edwards)
	nobody := smallCertificate(t, pkix.Name{}, loadToken(t, "512").Signer)
	long := smallCertificate(t, pkix.Name{CommonName: "long", Organization: []string{strings.Repeat("o", 22000)}}, ecKey(t))
	address := netip.MustParseAddr("10.0.0.1")
	cases := []struct {
		name   string
		change func(*Contents)
		want   []string
	}{
		{"nothing", func(*Contents) {}, nil},
		{"empty", func(c *Contents) { *c = Contents{} }, []string{
			"timestamp 0001-01-01T00:00:00Z", "no security token", "no server", "no CAPF certificate",
		}},
		{"one token", func(c *Contents) { c.Tokens = c.Tokens[:1] }, []string{"one security token only"}},
		{"one token, as asked", func(c *Contents) { c.Tokens, c.SingleToken = c.Tokens[:1], true }, nil},
		{"a token twice", func(c *Contents) { c.Tokens[1] = c.Tokens[0] }, []string{`token "first": is there twice`, "the same certificate"}},
		{"no token certificate", func(c *Contents) { c.Tokens[1].Certificate = nil }, []string{`token "second": has no certificate`}},
		{"EC token", func(c *Contents) { c.Tokens[1].Certificate = loadCertificate(t, "ec") }, []string{`token "second": a key of type ECDSA`}},
		{"nameless token", func(c *Contents) { c.Tokens[1].Certificate = nobody }, []string{`token "second": its certificate has no subject`}},
		{"no certificate", func(c *Contents) { c.Servers[1].Certificate = nil }, []string{`node "10.1.2.4": has no certificate`}},
		{"two problems", func(c *Contents) { c.Servers[0].Certificate, c.Servers[1].Address = nil, netip.Addr{} },
			[]string{`node "pub": has no certificate`, `node "10.1.2.4": address invalid IP`}},
		{"IPv6", func(c *Contents) { c.Servers[0].Address = netip.MustParseAddr("::1") }, []string{`node "pub": address ::1: a list has room for IPv4`}},
		{"node twice", func(c *Contents) { c.Servers[1].Name = "pub" }, []string{`node "pub": is there twice`}},
		{"role of no node", func(c *Contents) { c.Servers[0].Role = RoleSAST }, []string{`node "pub": sast is no role of a node`}},
		{"node without a name", func(c *Contents) { c.Servers[0].Name = "" }, []string{"a node without a name"}},
		{"NUL in a DNS name", func(c *Contents) { c.Servers[0].DNSName = "a\x00b" }, []string{`DNS name "a\x00b"`}},
		{"odd key", func(c *Contents) { c.Servers[0].Certificate = odd }, []string{`node "pub": a key of type Ed25519`}},
		{"TVS in a CTL", func(c *Contents) { c.TVS = c.CAPF }, []string{"a trust verification service in a CTL: it belongs into the ITL"}},
		{"ITL", func(c *Contents) { c.ITL, c.TVS = true, c.CAPF }, nil},
		{"ITL without files", func(c *Contents) { c.ITL, c.Servers[0].Role, c.Servers = true, RoleCCM, c.Servers[:1] }, []string{"no server with a TFTP role"}},
		{"TVS twice", func(c *Contents) { c.ITL, c.TVS = true, append(c.TVS, c.CAPF[0], c.CAPF[0]) }, []string{`node "pub": its trust verification service is there twice`}},
		{"TVS without a certificate", func(c *Contents) { c.ITL, c.TVS = true, []Server{{Name: "pub", Address: address}} }, []string{`node "pub": has no certificate`}},
		{"long certificate", func(c *Contents) { c.Servers[0].Certificate = long }, []string{`node "pub": its record would have`}},
		{"CAPF twice", func(c *Contents) { c.CAPF = append(c.CAPF, c.CAPF[0]) }, []string{"CAPF certificate is there twice"}},
		{"two CAPF certificates", func(c *Contents) {
			c.CAPF = append(c.CAPF, Server{Name: "pub", Address: address, Certificate: loadCertificate(t, "negative-serial")})
		}, nil},
		{"digest", func(c *Contents) { c.Digest = 2 }, []string{"digest 2: use sha1"}},
		{"signer version", func(c *Contents) { c.SignerVersion = 0x0200 }, []string{"signer version 2.0"}},
		{"after 2106", func(c *Contents) { c.Timestamp = time.Unix(1<<32, 0) }, []string{"timestamp 2106"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			contents := sampleContents(t)
			c.change(&contents)
			checkProblems(t, contents.Validate(), c.want)
			if raw, err := Build(contents, loadToken(t, "1024")); (err == nil) != (len(c.want) == 0) || (raw == nil) != (err != nil) {
				t.Errorf("built %d bytes, %v", len(raw), err)
			}
		})
	}
}

func checkProblems(t *testing.T, err error, want []string) {
	t.Helper()
	var problems Problems
	if err != nil && !errors.As(err, &problems) {
		t.Fatalf("not Problems: %v", err)
	}
	if len(problems) != len(want) {
		t.Errorf("%d problems instead of %d: %v", len(problems), len(want), problems)
	}
	for i := range min(len(problems), len(want)) {
		if !strings.Contains(problems[i].Error(), want[i]) {
			t.Errorf("problem %q instead of one with %q", problems[i], want[i])
		}
	}
}

// brokenSigner claims a key and signs with nothing.
type brokenSigner struct {
	crypto.Signer
	signature []byte
	err       error
}

func (s brokenSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return s.signature, s.err
}

func TestBuildRefusesSigners(t *testing.T) {
	first, second := loadToken(t, "1024"), loadToken(t, "2048")
	small := sampleContents(t)
	small.Tokens[0].Certificate = loadToken(t, "512").Certificate
	small.Digest = SHA512
	cases := []struct {
		name, want string
		contents   Contents
		signer     *Token
	}{
		{"none", "no signing token", sampleContents(t), nil},
		{"no key", "no signing token", sampleContents(t), &Token{Certificate: first.Certificate}},
		{"stranger", "is not among the list's tokens", sampleContents(t), loadToken(t, "4096")},
		{"another's key", "its key is not that of its certificate", sampleContents(t), &Token{first.Certificate, second.Signer}},
		{"512 bits, SHA-512", "a sha512 signature needs a key of at least 752 bits, this one has 512", small, loadToken(t, "512")},
		{"error", "signing failed: card pulled", sampleContents(t), &Token{first.Certificate, brokenSigner{first.Signer, nil, errors.New("card pulled")}}},
		{"short", "gave a signature of 3 bytes instead of 128", sampleContents(t), &Token{first.Certificate, brokenSigner{first.Signer, []byte("abc"), nil}}},
		{"wrong", "the list just built does not verify", sampleContents(t), &Token{first.Certificate, brokenSigner{first.Signer, make([]byte, 128), nil}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			raw, err := Build(c.contents, c.signer)
			if raw != nil || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%d bytes, error %v instead of one with %q", len(raw), err, c.want)
			}
		})
	}
}

func TestSignerVersions(t *testing.T) {
	for version, want := range map[Version]Version{0: SignerVersion10, SignerVersion11: SignerVersion11, SignerVersionOmitted: 0} {
		contents := sampleContents(t)
		contents.SignerVersion = version
		file, err := Decode(mustBuild(t, contents, loadToken(t, "1024")))
		if err != nil {
			t.Fatal(err)
		}
		if file.Header.SignerVersion != want {
			t.Errorf("%s written as %s", version, file.Header.SignerVersion)
		}
	}
}

// TestServerFields builds with a certificate of a negative serial number, a name that needs escaping, and
// an address in IPv6 clothes.
func TestServerFields(t *testing.T) {
	contents := sampleContents(t)
	contents.Servers[0] = Server{Name: "sub", Address: netip.MustParseAddr("::ffff:192.0.2.7"), Role: RoleCCM, Certificate: loadCertificate(t, "negative-serial")}
	file, err := Decode(mustBuild(t, contents, loadToken(t, "1024")))
	if err != nil {
		t.Fatal(err)
	}
	record := file.RecordsOf(RoleCCM)[0]
	got := []string{record.DNSName, record.Address.String(), record.ID.String()}
	if diff := cmp.Diff([]string{"sub", "192.0.2.7", `"CN=\\ subscriber \\\"1\\\",OU=Call\\+Manager,O=Example\\, Inc." serial fb`}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWords(t *testing.T) {
	for _, word := range []string{"ccm+tftp", "ccm", "tftp"} {
		if role, err := ParseRole(word); err != nil || role.String() != word || !role.OfNode() {
			t.Errorf("%s reads as %s, %v", word, role, err)
		}
	}
	for _, word := range []string{"", "sast", "capf", "CCM", "ccm+tftp "} {
		if role, err := ParseRole(word); err == nil {
			t.Errorf("%q reads as %s", word, role)
		}
	}
	for _, word := range []string{"sha1", "sha512"} {
		if digest, err := ParseDigest(word); err != nil || digest.String() != word {
			t.Errorf("%s reads as %s, %v", word, digest, err)
		}
	}
	if _, err := ParseDigest("sha256"); err == nil {
		t.Error("sha256 is taken")
	}
	if role := Role(99); role.String() != "role 99" || role.Title() != "unknown (99)" || role.OfNode() {
		t.Errorf("role 99 reads %s, %s", role, role.Title())
	}
}
