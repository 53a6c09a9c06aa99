package pkcs11

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"

	p11 "github.com/miekg/pkcs11"

	"capf/runtime/capf"
)

// maxCertificate is how long a certificate may be, in bytes.
const maxCertificate = 1 << 16

// Certificate gives the certificate of the key that lies in the token with it, whatever it is called there: the public
// key decides. CodeNotFound where there is none, CodeRefused where there are several.
func (k *Key) Certificate() (*x509.Certificate, error) {
	var slot Slot
	var found []*x509.Certificate
	err := k.do(func(opened *openKey) (err error) {
		slot = opened.connection.slot
		found, err = opened.connection.certificates(k)
		return err
	}, true)
	if err != nil {
		return nil, err
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, &capf.Error{Code: capf.CodeNotFound, Message: fmt.Sprintf("%s: holds no certificate of its key", slot), Hint: "give it with --certificate FILE"}
	}
	var serials []string
	for _, one := range found {
		serials = append(serials, hex.EncodeToString(one.SerialNumber.Bytes()))
	}
	return nil, &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("%s: holds %d certificates of the key, with serial numbers %s", slot, len(found), strings.Join(serials, ", ")),
		Hint: "say which one is meant with --certificate FILE"}
}

// certificates gives those of a key, each once.
func (c *connection) certificates(key *Key) (found []*x509.Certificate, err error) {
	err = c.ours.with(func(session p11.SessionHandle) error {
		handles, err := c.objects(session, p11.NewAttribute(p11.CKA_CLASS, p11.CKO_CERTIFICATE))
		if err != nil {
			return err
		}
		for _, handle := range handles {
			read, err := c.module.GetAttributeValue(session, handle, []*p11.Attribute{p11.NewAttribute(p11.CKA_VALUE, nil)})
			if err != nil || len(read[0].Value) > maxCertificate {
				continue // not a certificate that is in the token as a whole
			}
			certificate, err := x509.ParseCertificate(read[0].Value)
			if err == nil && key.public.Equal(certificate.PublicKey) && !contains(found, certificate) {
				found = append(found, certificate)
			}
		}
		return nil
	})
	return found, err
}

func contains(all []*x509.Certificate, one *x509.Certificate) bool {
	for _, other := range all {
		if other.Equal(one) {
			return true
		}
	}
	return false
}
