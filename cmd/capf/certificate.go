package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

// Certificates of phones, and files with certificates.

type certificateCommands struct {
	List certificateListCommand `cmd:"" help:"All that was issued or seen."`
}

type certificateListCommand struct {
	Device string `arg:"" optional:"" help:"Of this device only."`
	PEM    bool   `name:"pem" help:"Print the certificates themselves."`
}

// Run lists the certificates in the order in which they were recorded.
func (c *certificateListCommand) Run(app *app) error {
	device, err := optionalDevice(c.Device)
	if err != nil {
		return err
	}
	return app.withStore(func(store *sqlite.Store) error {
		if err := knownDevice(app, store, device); err != nil {
			return err
		}
		if c.PEM && !app.json {
			return store.Certificates(app.ctx, device, func(certificate capf.Certificate) error {
				return pem.Encode(app.stdout, &pem.Block{Type: "CERTIFICATE", Bytes: certificate.DER})
			})
		}
		return c.print(app, store, device)
	})
}

var errFound = errors.New("found")

// knownDevice sees that a device is in the store, or was: the certificates of a phone that was removed stay.
func knownDevice(app *app, store *sqlite.Store, device string) error {
	if device == "" {
		return nil
	}
	err := store.Certificates(app.ctx, device, func(capf.Certificate) error { return errFound })
	if errors.Is(err, errFound) {
		return nil
	}
	if err == nil {
		_, err = store.Phone(app.ctx, device)
	}
	return err
}

func (c *certificateListCommand) print(app *app, store *sqlite.Store, device string) error {
	columns := []string{"serial", "device", "kind", "state", "not-before", "not-after", "issuer"}
	if c.PEM {
		columns = append(columns, "pem")
	}
	list := app.list(columns...)
	err := store.Certificates(app.ctx, device, func(one capf.Certificate) error {
		values := []any{one.Serial, one.Device, one.Kind, one.State, capf.FormatTime(one.NotBefore), capf.FormatTime(one.NotAfter), one.Issuer}
		if c.PEM {
			values = append(values, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: one.DER})))
		}
		list.add(values...)
		return nil
	})
	if err != nil {
		return err
	}
	return list.close()
}

func optionalDevice(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	return capf.ParseDevice(text)
}

// chosenCertificate reads a certificate from what is in a file, DER or PEM. Of a chain in PEM, in any order, it gives the
// one that issued none of the others: a server's own. Blocks of other kinds (keys, parameters) are passed over, not kept.
func chosenCertificate(content []byte) (*x509.Certificate, error) {
	block, rest := pem.Decode(content)
	if block == nil {
		return x509.ParseCertificate(content)
	}
	var found []*x509.Certificate
	for ; block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(found)+1, err)
		}
		found = append(found, certificate)
	}
	const most = 16
	if len(found) > most {
		return nil, fmt.Errorf("it has %d certificates; no chain has more than %d", len(found), most)
	}
	return endOfChain(found)
}

// endOfChain gives the one certificate that issued none of the others.
func endOfChain(chain []*x509.Certificate) (*x509.Certificate, error) {
	chain = slices.Clone(chain)
	slices.SortFunc(chain, func(a, b *x509.Certificate) int { return bytes.Compare(a.Raw, b.Raw) })
	chain = slices.CompactFunc(chain, (*x509.Certificate).Equal)
	ends := slices.DeleteFunc(slices.Clone(chain), func(one *x509.Certificate) bool {
		return slices.ContainsFunc(chain, func(other *x509.Certificate) bool {
			return !other.Equal(one) && bytes.Equal(other.RawIssuer, one.RawSubject) && !bytes.Equal(other.RawIssuer, other.RawSubject)
		})
	})
	switch {
	case len(chain) == 0:
		return nil, errors.New("it has PEM blocks, but none is a certificate")
	case len(ends) != 1:
		return nil, fmt.Errorf("of its %d certificates %d issued none of the others: which one is meant cannot be told", len(chain), len(ends))
	}
	return ends[0], nil
}

// checkListKey refuses a certificate whose key has no place in a trust list (ctl-format.md, "Records"), and reports
// whether only newer phones know such keys.
func checkListKey(certificate *x509.Certificate) (newer bool, err error) {
	switch certificate.PublicKey.(type) {
	case *rsa.PublicKey:
		return false, nil
	case *ecdsa.PublicKey:
		return true, nil
	}
	return false, fmt.Errorf("its key is of type %s: only RSA and EC have a place in a trust list", certificate.PublicKeyAlgorithm)
}
