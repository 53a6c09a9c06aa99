package distribute

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

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
func NewPayload(capf *x509.Certificate, list []byte) (*Payload, error) {
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
	payload.add(CertificatesFolder, name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: capf.Raw}))
	payload.add(TFTPFolder, ctl.FileName, slices.Clone(list))
	payload.files[len(payload.files)-1].list = true
	return payload, nil
}

func (p *Payload) add(place Place, name string, data []byte) {
	p.files = append(p.files, payloadFile{place: place, name: name, data: data, sum: sha256.Sum256(data)})
}
