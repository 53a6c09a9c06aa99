package distribute

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

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
// certificates first, the list last.
type Payload struct {
	files []payloadFile
}

type payloadFile struct {
	place Place
	name  string
	data  []byte
	sum   [sha256.Size]byte
	list  bool
}

// NewPayload makes the set of the CAPF certificate (`CAPF.cer` in DER and `<common name>.0` in PEM,
// ctl-format.md, "Rules") and the list. The list must verify and have that certificate as CAPF's, else
// phones would take nothing from this CAPF.
//
// Others are CAPF's certificates before and after the one in force. Those that the list has as CAPF's too go
// along, each as its own `<common name>.0`: servers must know them before and while phones do.
func NewPayload(capf *x509.Certificate, list []byte, others ...*x509.Certificate) (*Payload, error) {
	if capf == nil {
		return nil, errors.New("no CAPF certificate to distribute")
	}
	name, err := CertificateFileName(capf.Subject.CommonName)
	if err != nil {
		return nil, fmt.Errorf("CAPF certificate: %w", err)
	}
	verification, err := ctl.Verify(list)
	if err != nil {
		return nil, fmt.Errorf("the list to distribute does not verify: %w; build a new one", err)
	}
	certificates, err := verification.File.Certificates(ctl.RoleCAPF)
	if err != nil {
		return nil, fmt.Errorf("the list to distribute: %w", err)
	}
	if !slices.ContainsFunc(certificates, capf.Equal) {
		return nil, errors.New("the list to distribute was made without the present CAPF certificate; build a new one")
	}
	payload := &Payload{}
	payload.add(CertificatesFolder, "CAPF.cer", capf.Raw)
	payload.addPEM(name, capf)
	for _, other := range others {
		if other.Equal(capf) || !slices.ContainsFunc(certificates, other.Equal) {
			continue
		}
		if err := payload.addOther(other); err != nil {
			return nil, err
		}
	}
	payload.add(TFTPFolder, ctl.FileName, slices.Clone(list))
	payload.files[len(payload.files)-1].list = true
	return payload, nil
}

// addOther refuses a name that is taken: of two certificates in one file servers would know one.
func (p *Payload) addOther(certificate *x509.Certificate) error {
	name, err := CertificateFileName(certificate.Subject.CommonName)
	if err != nil {
		return fmt.Errorf("CAPF certificate: %w", err)
	}
	taken := func(file payloadFile) bool { return strings.EqualFold(file.name, name) }
	if slices.ContainsFunc(p.files, taken) {
		return fmt.Errorf("two CAPF certificates are called %q and would be one file on the servers", certificate.Subject.CommonName)
	}
	p.addPEM(name, certificate)
	return nil
}

func (p *Payload) addPEM(name string, certificate *x509.Certificate) {
	p.add(CertificatesFolder, name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))
}

func (p *Payload) add(place Place, name string, data []byte) {
	p.files = append(p.files, payloadFile{place: place, name: name, data: data, sum: sha256.Sum256(data)})
}
