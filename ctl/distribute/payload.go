package distribute

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"capf/ctl"
)

// Place is the kind of folder that a file goes to.
type Place int

// The folders of a node.
const (
	CertificatesFolder Place = iota
	TFTPFolder
)

// Payload is the set of files that every node gets, in the order in which they are put in place: the
// certificates first, the list last; an ITL right before it.
type Payload struct {
	files   []payloadFile
	inForce *x509.Certificate
	trust   *ctl.File
}

type payloadFile struct {
	place Place
	name  string
	data  []byte
	sum   [sha256.Size]byte
	list  bool // a CTL or an ITL, which replaces none that it does not succeed
}

// Certificates are the CAPF certificates of a payload.
type Certificates struct {
	InForce *x509.Certificate
	// Anchors still vouch for LSCs that they issued: servers must know them as long as phones hold such.
	Anchors []*x509.Certificate
	// Others come along where the list has them as CAPF's: servers must know them before and while phones do.
	Others []*x509.Certificate
}

// NewPayload makes the set of the CAPF certificates (that in force as `CAPF.cer` in DER, each as `<common
// name>.0` in PEM: ctl-format.md, "Rules") and the list. The list must verify and have the one in force as
// CAPF's, else phones would take nothing from this CAPF.
func NewPayload(capf Certificates, list []byte) (*Payload, error) {
	if capf.InForce == nil {
		return nil, errors.New("no CAPF certificate to distribute")
	}
	name, err := CertificateFileName(capf.InForce.Subject.CommonName)
	if err != nil {
		return nil, fmt.Errorf("CAPF certificate: %w", err)
	}
	trust, certificates, err := capfOf("list", list, ctl.Verify, capf.InForce)
	if err != nil {
		return nil, err
	}
	payload := &Payload{inForce: capf.InForce, trust: trust}
	payload.add(CertificatesFolder, "CAPF.cer", capf.InForce.Raw)
	payload.addPEM(name, capf.InForce)
	for _, other := range capf.alongside(certificates) {
		payload.addPEM(payload.freeName(other), other)
	}
	payload.addList(ctl.FileName, list)
	return payload, nil
}

// AddITL adds the ITLFile.tlv that goes with the list. It must verify and have the certificate in force as CAPF's, as
// the list must.
func (p *Payload) AddITL(itl []byte) error {
	if _, _, err := capfOf("ITL", itl, ctl.VerifyITL, p.inForce); err != nil {
		return err
	}
	p.addList(ctl.ITLFileName, itl)
	return nil
}

// capfOf gives a list that verifies, and the certificates that it has as CAPF's, if the one in force is among them.
func capfOf(kind string, list []byte, verify func([]byte) (*ctl.Verification, error), inForce *x509.Certificate) (*ctl.File, []*x509.Certificate, error) {
	verification, err := verify(list)
	if err != nil {
		return nil, nil, fmt.Errorf("the %s to distribute does not verify: %w", kind, err)
	}
	certificates, err := verification.File.Certificates(ctl.RoleCAPF)
	if err != nil {
		return nil, nil, fmt.Errorf("the %s to distribute cannot be read whole: %w", kind, err)
	}
	if !slices.ContainsFunc(certificates, inForce.Equal) {
		return nil, nil, fmt.Errorf("the %s to distribute was made without the present CAPF certificate", kind)
	}
	return verification.File, certificates, nil
}

// Reminders says which certificates of the list are at their end or near it, the most urgent first, a line each.
func (p *Payload) Reminders(now time.Time) []string {
	var lines []string
	for _, reminder := range ctl.Remind(p.trust, nil, now) {
		lines = append(lines, reminder.Text)
	}
	return lines
}

// alongside gives the certificates beside the one in force, each once, the newest first: so that the same ones
// always get the same names.
func (c Certificates) alongside(listed []*x509.Certificate) []*x509.Certificate {
	chosen := slices.Clone(c.Anchors)
	for _, other := range c.Others {
		if slices.ContainsFunc(listed, other.Equal) {
			chosen = append(chosen, other)
		}
	}
	chosen = slices.DeleteFunc(chosen, c.InForce.Equal)
	slices.SortFunc(chosen, func(a, b *x509.Certificate) int {
		return cmp.Or(b.NotBefore.Compare(a.NotBefore), bytes.Compare(a.Raw, b.Raw))
	})
	return slices.CompactFunc(chosen, (*x509.Certificate).Equal)
}

// freeName gives the file name of a certificate beside the one in force. Two of one name (also as Windows sees
// it) would be one file, of which servers knew one: the older gets the beginning of its SHA-256 behind its
// name. A name that no file can have, as an import may bring, is replaced by the SHA-256.
func (p *Payload) freeName(certificate *x509.Certificate) string {
	sum := sha256.Sum256(certificate.Raw)
	name, err := CertificateFileName(certificate.Subject.CommonName)
	if err == nil && !p.taken(name) {
		return name
	}
	if name, err = CertificateFileName(fmt.Sprintf("%s-%x", certificate.Subject.CommonName, sum[:4])); err == nil && !p.taken(name) {
		return name
	}
	return fmt.Sprintf("%x.0", sum)
}

func (p *Payload) taken(name string) bool {
	return slices.ContainsFunc(p.files, func(file payloadFile) bool { return strings.EqualFold(file.name, name) })
}

func (p *Payload) addPEM(name string, certificate *x509.Certificate) {
	p.add(CertificatesFolder, name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))
}

func (p *Payload) addList(name string, list []byte) {
	p.add(TFTPFolder, name, slices.Clone(list))
	p.files[len(p.files)-1].list = true
}

func (p *Payload) add(place Place, name string, data []byte) {
	p.files = append(p.files, payloadFile{place: place, name: name, data: data, sum: sha256.Sum256(data)})
}

// IsList tells a CTL or ITL from certificates by its name, which may have folders before it.
func IsList(name string) bool { return path.Base(name) == ctl.FileName || IsITL(name) }

// IsITL is IsList for an ITL alone.
func IsITL(name string) bool { return path.Base(name) == ctl.ITLFileName }

// Succeeds tells whether phones with a list take another one that is known to come after it: that it is older by its time
// does not matter.
func Succeeds(next, previous []byte) bool {
	err := ctl.VerifySuccession(next, previous)
	return err == nil || errors.Is(err, ctl.ErrOlder)
}
