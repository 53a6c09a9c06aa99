package phone

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"

	"capf/ctl"
)

// TrustList is how a phone checks a server: against the records with the CAPF role of its certificate
// trust list [P]. The list's own signature is verified first; the server's certificate must then equal
// that of a record, byte by byte. Dates and issuers do not count: the list is the authority.
func TrustList(file []byte) (VerifyServer, error) {
	verified, err := ctl.Verify(file)
	if err != nil {
		return nil, fmt.Errorf("CTL file: %w", err)
	}
	trusted, err := verified.File.Certificates(ctl.RoleCAPF)
	if err != nil {
		return nil, fmt.Errorf("CTL file: %w", err)
	}
	if len(trusted) == 0 {
		return nil, errors.New("CTL file: it has no record with the CAPF role: build one after CAPF has been activated")
	}
	return func(certificate *x509.Certificate) error {
		for _, one := range trusted {
			if bytes.Equal(one.Raw, certificate.Raw) {
				return nil
			}
		}
		return fmt.Errorf("%s, serial number %x, is none of the %d in the CTL file with the CAPF role: "+
			"build and distribute a list with it", certificate.Subject, certificate.SerialNumber, len(trusted))
	}, nil
}

// AnyServer takes every server. It is for trials only: a phone without a list enrols with whoever answers.
func AnyServer(*x509.Certificate) error { return nil }
