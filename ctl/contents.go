package ctl

import (
	"bytes"
	"crypto/x509"
	"net/netip"
	"slices"
	"time"

	"capf/internal/plain"
)

// minimumTokens is the rule of ctl-format.md: with one token lost, the other can still sign.
const minimumTokens = 2

// SAST is one of the administrator's security tokens, as far as the list needs it.
type SAST struct {
	Name        string // the administrator's name for it; for errors, not in the file
	Certificate *x509.Certificate
	// ID is how the list that phones hold writes the certificate's names and serial number, where that is not as we
	// do: phones compare them byte by byte with those of the signer. Nil: as we write them.
	ID *SignerID
}

// Server is a server of the cluster with one role.
type Server struct {
	Name        string // the node's name, as errors give it
	DNSName     string // host name or address as phones use it; the name where it is empty
	Address     netip.Addr
	Role        Role // ccm+tftp, ccm or tftp; not looked at in Contents.CAPF
	Certificate *x509.Certificate
}

// Contents is what a new list is made of.
type Contents struct {
	Tokens  []SAST   // all that may sign the next list, at least two
	Servers []Server // one for each node
	// CAPF has the CAPF certificate with the publisher's name and address; two of them while a
	// certificate is being replaced.
	CAPF          []Server
	Timestamp     time.Time // written in whole seconds
	Digest        Digest    // 0: SHA1
	SignerVersion Version   // 0: SignerVersion10
	// ITL makes an ITLFile.tlv of the same model. It has those servers that give phones files and certificates: the
	// ones with a TFTP role, CAPF, and the trust verification services; a phone that talks to a CallManager over TLS
	// has the CTL for that. A CallManager signs its ITL with its own key, which never comes here: ours is signed by a
	// token, as the CTL is, and the tokens stand in it, so that phones with our CTL know who signed.
	ITL bool
	// TVS are the trust verification services with their certificates, for an ITL only.
	TVS []Server
	// SingleToken allows a list with one token only. When that is lost no phone takes another list.
	SingleToken bool
}

// Validate collects all that stands in the way of a list, as Problems; nil where nothing does.
func (c *Contents) Validate() error {
	var problems Problems
	c.checkSettings(&problems)
	c.checkTokens(&problems)
	if len(c.servers()) == 0 {
		problems.add("%s", c.noServer())
	}
	if len(c.CAPF) == 0 {
		problems.add("no CAPF certificate: phones could not enrol; it is made when CAPF is activated")
	}
	names := map[string]bool{}
	for i := range c.Servers {
		c.Servers[i].check(&problems)
		if !c.Servers[i].Role.OfNode() {
			problems.add("node %q: %s is no role of a node: use ccm+tftp, ccm or tftp", c.Servers[i].Name, c.Servers[i].Role)
		}
		if names[c.Servers[i].Name] {
			problems.add("node %q: is there twice", c.Servers[i].Name)
		}
		names[c.Servers[i].Name] = true
	}
	for i := range c.CAPF {
		c.CAPF[i].check(&problems)
		for j := range i {
			if sameCertificate(c.CAPF[i].Certificate, c.CAPF[j].Certificate) {
				problems.add("publisher %q: its CAPF certificate is there twice", c.CAPF[i].Name)
			}
		}
	}
	c.checkTVS(&problems)
	return problems.orNil()
}

func (c *Contents) noServer() string {
	if c.ITL {
		return "no server with a TFTP role: it is what phones need an ITL for; add the cluster's nodes"
	}
	return "no server: phones would have nothing to register with; add the cluster's nodes"
}

func (c *Contents) checkTVS(problems *Problems) {
	if len(c.TVS) > 0 && !c.ITL {
		problems.add("a trust verification service in a CTL: it belongs into the ITL")
	}
	names := map[string]bool{}
	for i := range c.TVS {
		c.TVS[i].check(problems)
		if names[c.TVS[i].Name] {
			problems.add("node %q: its trust verification service is there twice", c.TVS[i].Name)
		}
		names[c.TVS[i].Name] = true
	}
}

// servers gives those of the servers that stand in the list: in an ITL, those with a TFTP role.
func (c *Contents) servers() []Server {
	if !c.ITL {
		return c.Servers
	}
	var files []Server
	for _, server := range c.Servers {
		if server.Role == RoleCCMTFTP || server.Role == RoleTFTP {
			files = append(files, server)
		}
	}
	return files
}

func (c *Contents) fileName() string {
	if c.ITL {
		return ITLFileName
	}
	return FileName
}

func (c *Contents) checkSettings(problems *Problems) {
	if seconds := c.Timestamp.Unix(); seconds <= 0 || seconds > 0xFFFFFFFF {
		problems.add("timestamp %s: a list can say 1970 to 2106 only", c.Timestamp.UTC().Format(time.RFC3339))
	}
	if _, ok := c.digest().Hash(); !ok {
		problems.add("%s: use sha1 or sha512", c.Digest)
	}
	switch c.signerVersion() {
	case SignerVersion10, SignerVersion11, SignerVersionOmitted:
	default:
		problems.add("signer version %s: use 1.0 or 1.1", c.SignerVersion)
	}
}

func (c *Contents) checkTokens(problems *Problems) {
	switch {
	case len(c.Tokens) == 0:
		problems.add("no security token: add the two or more that may sign lists")
	case len(c.Tokens) < minimumTokens && !c.SingleToken:
		problems.add("one security token only: were it lost, phones would take no other list; add a second one, or accept that with --single-token")
	}
	names := map[string]bool{}
	for i, token := range c.Tokens {
		if names[token.Name] {
			problems.add("token %q: is there twice", token.Name)
		}
		names[token.Name] = true
		for j := range i {
			if sameCertificate(token.Certificate, c.Tokens[j].Certificate) {
				problems.add("tokens %q and %q: the same certificate", c.Tokens[j].Name, token.Name)
			}
		}
		token.check(problems)
	}
}

func (t *SAST) check(problems *Problems) {
	if t.Certificate == nil {
		problems.add("token %q: has no certificate", t.Name)
		return
	}
	if _, err := tokenKey(t.Certificate); err != nil {
		problems.add("token %q: %w", t.Name, err)
		return
	}
	elements, err := t.elements()
	if err != nil {
		problems.add("token %q: %w", t.Name, err)
		return
	}
	if subject, _ := find(elements, TagSubject); len(subject.Value) <= 1 {
		problems.add("token %q: its certificate has no subject name, which phones know it by", t.Name)
	}
}

func (s *Server) check(problems *Problems) {
	before := len(*problems)
	if s.Name == "" {
		problems.add("a node without a name")
	}
	if name := s.dnsName(); !plain.IsWord(name) {
		problems.add("node %q: DNS name %q has characters that no host name has", s.Name, name)
	}
	if !s.Address.Unmap().Is4() {
		problems.add("node %q: address %s: a list has room for IPv4 addresses only", s.Name, s.Address)
	}
	if s.Certificate == nil {
		problems.add("node %q: has no certificate; add it to the node", s.Name)
	}
	if len(*problems) > before {
		return
	}
	if _, err := s.elements(); err != nil {
		problems.add("node %q: %w", s.Name, err)
	}
}

func (s *Server) dnsName() string {
	if s.DNSName != "" {
		return s.DNSName
	}
	return s.Name
}

func (c *Contents) digest() Digest {
	if c.Digest == 0 {
		return SHA1
	}
	return c.Digest
}

func (c *Contents) signerVersion() Version {
	if c.SignerVersion == 0 {
		return SignerVersion10
	}
	return c.SignerVersion
}

// HasEC tells whether a server of the list has an EC key, which only newer firmware reads (ctl-format.md, tag 28).
func (c *Contents) HasEC() bool {
	return slices.ContainsFunc(slices.Concat(c.servers(), c.CAPF, c.TVS), func(server Server) bool {
		return server.Certificate != nil && server.Certificate.PublicKeyAlgorithm == x509.ECDSA
	})
}

func sameCertificate(one, other *x509.Certificate) bool {
	return one != nil && other != nil && bytes.Equal(one.Raw, other.Raw)
}
