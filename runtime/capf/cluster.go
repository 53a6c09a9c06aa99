package capf

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"capf/internal/plain"
)

// Node is a server of the cluster.
type Node struct {
	Name            string
	Role            NodeRole
	Address         netip.Addr
	DNSName         string // as phones use it; empty: the address
	Publisher       bool
	Certificate     []byte // DER; empty: it can receive files, but not stand in a list
	TVSCertificate  []byte // DER, of its trust verification service, for the ITL; empty: it has none
	Target          string // where its files go: file:///dir
	CertificatesDir string // below the target
	TFTPDir         string // below the target
	AddedAt         time.Time
}

const maxNodeName = 253 // of a DNS name

// Validate checks what a person typed, save the target, which the distribution knows.
func (n Node) Validate() error {
	for _, name := range []string{n.Name, n.DNSName} {
		if len(name) > maxNodeName || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '/' || r == '\\' }) {
			return &Error{Code: CodeInvalid, Message: fmt.Sprintf("node name %q", plain.Clip(name)),
				Hint: "use a host name or address without spaces, slashes or control characters"}
		}
	}
	if n.Name == "" {
		return &Error{Code: CodeInvalid, Message: "node without a name", Hint: "give its host name"}
	}
	if !n.Address.Is4() {
		return &Error{Code: CodeInvalid, Message: fmt.Sprintf("node %s: address %q", n.Name, n.Address),
			Hint: "give an IPv4 address: the trust list has room for no other"}
	}
	return nil
}

// HostName is the name that phones use for the node.
func (n Node) HostName() string {
	if n.DNSName != "" {
		return n.DNSName
	}
	return n.Name
}

// Token is an administrator's security token (SAST). The store keeps where its key is, never the key.
type Token struct {
	Name        string
	Location    string // path of the PEM file, or a PKCS #11 URI
	Certificate []byte // DER
	AddedAt     time.Time
}

// TokenChange is what happens to the security tokens together with a new list.
type TokenChange struct {
	Add    []Token
	Remove []string // names
}

// CTLVersion is a certificate trust list that was built here or imported from the field.
type CTLVersion struct {
	Version  int64
	Origin   string // built or imported
	Mode     ClusterMode
	Digest   string // sha1 or sha512, as in the file
	Signer   string // subject of the token that signed; of an imported list that does not verify, as it stands there
	SignedAt time.Time
	AddedAt  time.Time
	// DistributedAt is when the first node got it; zero: none is known to have.
	DistributedAt time.Time
	SHA256        string // of File, hex
	File          []byte
	// ITL is the ITLFile.tlv that goes with the list; empty: none was made. Its digest is for the store to fill in.
	ITL       []byte
	ITLSHA256 string // hex
}

// The origins of a CTL version.
const (
	CTLBuilt    = "built"
	CTLImported = "imported"
)

// Delivery is the last outcome of distributing to one node.
type Delivery struct {
	Node    string
	Version int64 // of the CTL
	Outcome string
	Detail  string
	At      time.Time
}

// Reached reports whether the node may hold that version now, so that phones may have it from there. Of a node that got
// some of the files it is not known.
func (d Delivery) Reached() bool {
	return d.Outcome == "done" || d.Outcome == "unchanged" || d.Outcome == "partly"
}

// Restart is whether the services of a node were restarted since it got another list: until then they go on with the
// one before.
type Restart struct {
	Node    string
	Version int64     // of the first list for which it is due
	Since   time.Time // when that was put in place
	DoneAt  time.Time // when somebody said that it is done; zero: it is due
	DoneBy  string
}

// RestartsDue gives the names of the nodes of which a restart is due.
func RestartsDue(restarts []Restart) (names []string) {
	for _, one := range restarts {
		if one.DoneAt.IsZero() {
			names = append(names, one.Node)
		}
	}
	return names
}
