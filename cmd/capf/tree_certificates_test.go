package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"time"
)

// made is a certificate.
type made []byte

func (m made) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m}))
}

// certificatePool has what takes long to make, once for all trees. No property hangs on which keys these are.
type certificatePool struct {
	keys    []*rsa.PrivateKey
	issuers []*x509.Certificate
	secret  string // a private key in PEM

	mu     sync.Mutex
	issued map[string]made
}

const poolIssuers = 3

var certificatesOfTrees = sync.OnceValues(func() (*certificatePool, error) {
	out := &certificatePool{issued: map[string]made{}}
	for n := range poolIssuers {
		key, err := rsa.GenerateKey(rand.Reader, 1024)
		if err != nil {
			return nil, err
		}
		template := treeCertificate(fmt.Sprintf("CAPF-%08x", n), int64(n+1))
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		if err != nil {
			return nil, err
		}
		parsed, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		out.keys, out.issuers = append(out.keys, key), append(out.issuers, parsed)
	}
	out.secret = string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(out.keys[0])}))
	return out, nil
})

func treeCertificate(name string, serial int64) *x509.Certificate {
	begin := time.Date(2004, 1, 1, 0, 0, 0, 0, time.UTC)
	return &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: begin, NotAfter: begin.AddDate(30, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature}
}

// lsc gives the LSC of a phone by an issuer, always the same one.
func (p *certificatePool) lsc(device string, issuer int) made {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := fmt.Sprint(device, " ", issuer)
	if p.issued[name] == nil {
		der, err := x509.CreateCertificate(rand.Reader, treeCertificate(device, int64(100+len(p.issued))), p.issuers[issuer], &p.keys[issuer].PublicKey, p.keys[issuer])
		if err != nil {
			panic(err) // the same template, name and key aside, was signed before
		}
		p.issued[name] = der
	}
	return p.issued[name]
}

// key is a private key in PEM, whole or torn.
func (p *certificatePool) key(whole bool) string {
	if whole {
		return p.secret
	}
	return p.secret[:len(p.secret)/2]
}

// keyText is in every private key of the pool, and nowhere else.
func (p *certificatePool) keyText() string { return strings.Split(p.secret, "\n")[2] }

// certificateFiles are those of a machine: its CAPF certificate, LSCs, those of other services, and damage.
func (f *forest) certificateFiles(capfFolder, certificates string, number int) (files []*treeFile) {
	issuer := number % poolIssuers
	certificate := made(f.pool.issuers[issuer].Raw)
	own := &treeFile{path: capfFolder + f.cased(f.pool.issuers[issuer].Subject.CommonName+".0")}
	f.certificateText(own, certificate)
	files = append(files, own)
	if number == 0 {
		files = append(files, &treeFile{path: certificates + f.cased("CAPF.cer"), pieces: []piece{{stored, certificate, certificate, nil}}})
	}
	for n := range f.IntN(6) {
		lsc := &treeFile{path: fmt.Sprintf("%sSEP%d.0", capfFolder, n)}
		f.certificateText(lsc, f.pool.lsc(fmt.Sprintf("SEP000000000%03d", f.IntN(150)), f.IntN(poolIssuers)))
		files = append(files, lsc)
	}
	for n := range f.IntN(4) {
		bad := &treeFile{path: fmt.Sprintf("%sbad%d.0", certificates, n)}
		f.damagedCertificate(bad)
		files = append(files, bad)
	}
	return files
}

// certificateText writes a certificate as such files have it.
func (f *forest) certificateText(file *treeFile, certificate made) {
	add := func() { file.pieces = append(file.pieces, piece{stored, []byte(certificate.pem()), certificate, nil}) }
	switch f.IntN(8) {
	case 0:
		file.add(withheld, "Certificate of it\r\n\r\nSubject: Jörg\r\n")
		add()
	case 1:
		add()
		file.add(withheld, "what came behind\r\n")
	case 2:
		file.pieces = append(file.pieces, piece{stored, certificate, certificate, nil}) // DER by mistake
	case 3:
		add()
		file.add(withheld, f.pool.key(true))
	case 4:
		file.add(withheld, f.pool.key(true))
		add()
		file.add(passed, "\n")
		add()
	case 5:
		add()
		file.add(withheld, f.pool.key(false))
	default:
		add()
	}
}

// damagedCertificate writes what does not parse.
func (f *forest) damagedCertificate(file *treeFile) {
	whole := f.pool.lsc("SEP000000000001", 0)
	text := whole.pem()
	lines := strings.SplitAfter(text, "\n")
	switch f.IntN(8) {
	case 0:
		file.add(withheld, text[:len(text)/2])
	case 1:
		file.add(withheld, strings.Replace(text, lines[2], "", 1))
	case 2:
		file.add(withheld, strings.Repeat("\x00", 1+f.IntN(40)))
	case 3:
		file.add(withheld, string(whole[:len(whole)/2]))
	case 4:
		file.add(withheld, "nothing of it is a certificate\r\n")
		file.add(passed, "\x1a")
	case 5:
		file.add(withheld, f.pool.key(f.one(2)))
	case 6:
		// Something stands in the block behind the certificate.
		inside := strings.Replace(text, "-----END", "written by hand\n-----END", 1)
		file.pieces = append(file.pieces, piece{stored, nil, whole, nil})
		file.add(withheld, inside)
	case 7:
		file.add(withheld, strings.ReplaceAll(text, "CERTIFICATE", "CERTIFICATE REQUEST"))
	}
}
