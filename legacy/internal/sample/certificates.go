package main

import (
	"bytes"
	"crypto"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// authority is a certificate with its key, which lives as long as the program.
type authority struct {
	der    []byte
	parsed *x509.Certificate
	key    *rsa.PrivateKey
}

// clusterCertificates lays out the certificates as legacy-layout.md has them.
func clusterCertificates(files tree) error {
	first, err := capf("CAPF-5D3A0C41", 2003, 2008)
	if err != nil {
		return err
	}
	files["cluster/publisher"+capfFolder+"CAPF-5D3A0C41.0"] = inPEM(first.der)
	files["cluster/publisher"+certificatesFolder+"CAPF.cer"] = first.der
	for i, name := range []string{"CAPF-8E21F7B0", "CAPF-C406D92A"} {
		second, err := capf(name, 2005, 2040)
		if err != nil {
			return err
		}
		machine := fmt.Sprintf("cluster/subscriber-%d", i+1)
		files[machine+capfFolder+name+".0"] = append([]byte("Certificate of "+name+"\r\n\r\n"), inPEM(second.der)...)
		files["cluster/publisher"+certificatesFolder+name+".0"] = inPEM(second.der)
		for number := 26 + i*24; number < 29+i*24; number++ {
			lsc, err := second.issue(device(number), moment(number))
			if err != nil {
				return err
			}
			files[machine+capfFolder+device(number)+".0"] = inPEM(lsc)
		}
	}
	return serverCertificates(files)
}

// serverCertificates are those of other services: stored, never trusted.
func serverCertificates(files tree) error {
	for _, name := range []string{"CCM-publisher", "TFTP-publisher", "CCM-subscriber-1"} {
		other, err := selfSigned(name, 1024, 2003, 2033)
		if err != nil {
			return err
		}
		files["cluster/publisher"+certificatesFolder+name+".0"] = inPEM(other.der)
	}
	short, err := selfSigned("IPSec-publisher", 512, 2003, 2033)
	if err != nil {
		return err
	}
	files["cluster/publisher"+certificatesFolder+"IPSec-publisher.0"] = inPEM(short.der)
	weak, err := selfSigned("CTI-publisher", 1024, 2003, 2033)
	if err != nil {
		return err
	}
	signed, err := weak.withMD5()
	if err != nil {
		return err
	}
	files["cluster/publisher"+certificatesFolder+"CTI-publisher.0"] = inPEM(signed)
	return nil
}

func capf(name string, from, until int) (*authority, error) {
	return selfSigned(name, 1024, from, until)
}

func selfSigned(name string, bits, from, until int) (*authority, error) {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: name, Organization: []string{"Example AG"}, Country: []string{"DE"}},
		NotBefore:             time.Date(from, time.November, 28, 0, 0, 0, 0, time.UTC),
		NotAfter:              time.Date(until, time.November, 27, 0, 0, 0, 0, time.UTC),
		SignatureAlgorithm:    x509.SHA1WithRSA,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParseCertificate(der)
	return &authority{der, parsed, key}, err
}

// issue makes an LSC of 1024 bits, for five years.
func (a *authority) issue(name string, at time.Time) ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:       big.NewInt(time.Now().UnixNano()),
		Subject:            pkix.Name{CommonName: name, Organization: a.parsed.Subject.Organization},
		NotBefore:          at,
		NotAfter:           at.AddDate(5, 0, 0),
		SignatureAlgorithm: x509.SHA1WithRSA,
		KeyUsage:           x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	return x509.CreateCertificate(rand.Reader, template, a.parsed, key.Public(), a.key)
}

// withMD5 signs the certificate again with MD5, which x509 does not do any more.
func (a *authority) withMD5() ([]byte, error) {
	sha1, err := asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5})
	if err != nil {
		return nil, err
	}
	identifier := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 4}
	weak, err := asn1.Marshal(identifier)
	if err != nil {
		return nil, err
	}
	body := bytes.ReplaceAll(a.parsed.RawTBSCertificate, sha1, weak)
	digest := md5.Sum(body)
	signature, err := rsa.SignPKCS1v15(nil, a.key, crypto.MD5, digest[:])
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(struct {
		Body      asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{
		asn1.RawValue{FullBytes: body},
		pkix.AlgorithmIdentifier{Algorithm: identifier, Parameters: asn1.NullRawValue},
		asn1.BitString{Bytes: signature, BitLength: len(signature) * 8},
	})
}

func inPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
