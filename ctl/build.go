package ctl

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Build makes a new list of the contents, signs it with a token that is among them, and verifies what
// came out before it returns it. An error lists all problems of the contents (Problems), or says why the
// token cannot sign.
//
// The records stand in this order, which ctl-format.md leaves open: the tokens, the servers, CAPF, the trust
// verification services; each as it was given.
func Build(contents Contents, signer *Token) ([]byte, error) {
	if err := contents.Validate(); err != nil {
		return nil, fmt.Errorf("contents of the list: %w", err)
	}
	token, key, err := contents.checkSigner(signer)
	if err != nil {
		return nil, err
	}
	raw, err := contents.unsigned(token, key)
	if err != nil {
		return nil, err
	}
	if err := sign(raw, signer, contents.digest()); err != nil {
		return nil, err
	}
	if _, err := verifyAs(raw, contents.fileName()); err != nil {
		return nil, fmt.Errorf("the list just built does not verify: %w", err)
	}
	return raw, nil
}

// digestInfoSize is the room that a signature takes at least: 11 bytes of padding, the DigestInfo's own
// bytes, and the digest (RFC 8017, 9.2).
func digestInfoSize(digest Digest) int {
	if digest == SHA512 {
		return 11 + 19 + 64
	}
	return 11 + 15 + 20
}

// checkSigner gives the token of the list that signs, and its key.
func (c *Contents) checkSigner(signer *Token) (*SAST, *rsa.PublicKey, error) {
	if signer == nil || signer.Certificate == nil || signer.Signer == nil {
		return nil, nil, errors.New("no signing token: give the token that signs, with its certificate and its key")
	}
	i := slices.IndexFunc(c.Tokens, func(token SAST) bool { return sameCertificate(token.Certificate, signer.Certificate) })
	if i < 0 {
		return nil, nil, fmt.Errorf("%s: signs, but is not among the list's tokens; add it to them", signer)
	}
	key, err := tokenKey(signer.Certificate)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", signer, err)
	}
	if !key.Equal(signer.Signer.Public()) {
		return nil, nil, fmt.Errorf("%s: its key is not that of its certificate", signer)
	}
	if needed := digestInfoSize(c.digest()); key.Size() < needed {
		return nil, nil, fmt.Errorf("%s: a %s signature needs a key of at least %d bits, this one has %d; sign with sha1 or with another token",
			signer, c.digest(), needed*8, key.N.BitLen())
	}
	return &c.Tokens[i], key, nil
}

// unsigned returns the list with zeros in place of the signature.
func (c *Contents) unsigned(signer *SAST, key *rsa.PublicKey) ([]byte, error) {
	elements, err := c.headerElements(signer, key)
	if err != nil {
		return nil, err
	}
	var records []interface{ elements() ([]Element, error) }
	for i := range c.Tokens {
		records = append(records, &c.Tokens[i])
	}
	for _, server := range c.servers() {
		records = append(records, &server)
	}
	for _, server := range c.CAPF {
		server.Role = RoleCAPF
		records = append(records, &server)
	}
	for _, server := range c.TVS {
		server.Role = RoleTrustVerificationService
		records = append(records, &server)
	}
	for _, record := range records {
		more, err := record.elements()
		if err != nil {
			return nil, err
		}
		elements = append(elements, more...)
	}
	return appendElements(make([]byte, 0, sizeOf(elements)), elements), nil
}

func (t *SAST) id() (SignerID, error) {
	if t.ID != nil {
		return *t.ID, nil
	}
	return idOf(t.Certificate)
}

// elements gives the token's record. A token is no server: nobody connects to it, so its name is empty and its address
// zero. Both elements are there all the same, as in every record.
func (t *SAST) elements() ([]Element, error) {
	id, err := t.id()
	if err != nil {
		return nil, err
	}
	return recordElements(RoleSAST, "", netip.Addr{}, t.Certificate, id)
}

// elements gives the server's record.
func (s *Server) elements() ([]Element, error) {
	id, err := idOf(s.Certificate)
	if err != nil {
		return nil, err
	}
	return recordElements(s.Role, s.dnsName(), s.Address, s.Certificate, id)
}

// headerElements returns the header in the order of ctl-format.md.
func (c *Contents) headerElements(signer *SAST, key *rsa.PublicKey) ([]Element, error) {
	id, err := signer.id()
	if err != nil {
		return nil, err
	}
	modulus, _ := ModulusOf(key.N.BitLen())
	length := Element{Tag: TagHeaderLength, Value: make([]byte, 2)}
	elements := []Element{{Tag: TagVersion, Value: number16(uint16(FormatVersion))}, length}
	if version := c.signerVersion(); version != SignerVersionOmitted {
		elements = append(elements, Element{Tag: TagSignerVersion, Value: number16(uint16(version))})
	}
	elements = append(elements,
		Element{Tag: TagSignerID, Inner: []Element{
			{Tag: TagSignerName, Value: text(id.Subject)},
			{Tag: TagSignerIssuer, Value: text(id.Issuer)},
			{Tag: TagSignerSerial, Value: id.Serial},
		}},
		Element{Tag: TagSignatureInfo, Inner: []Element{
			{Tag: TagDigestAlgorithm, Value: []byte{byte(c.digest())}},
			{Tag: TagSignatureAlgorithmInfo, Inner: []Element{
				{Tag: TagSignatureAlgorithm, Value: []byte{algorithmRSA}},
				{Tag: TagSignatureModulus, Value: []byte{byte(modulus)}},
			}},
		}},
		Element{Tag: TagSignature, Value: make([]byte, key.Size())},
		Element{Tag: TagFileName, Value: text(c.fileName())},
		Element{Tag: TagTimestamp, Value: binary.BigEndian.AppendUint32(nil, uint32(c.Timestamp.Unix()))},
	)
	for sizeOf(elements)%4 != 0 {
		elements = append(elements, Element{Tag: TagPadding, Bare: true})
	}
	if sizeOf(elements) > maxValue {
		return nil, errors.New("the signing token's names are too long for a header")
	}
	binary.BigEndian.PutUint16(length.Value, uint16(sizeOf(elements)))
	return elements, nil
}

// recordElements returns a record in the order of ctl-format.md. An address that is not valid is written
// as four zeros.
func recordElements(role Role, dnsName string, address netip.Addr, certificate *x509.Certificate, id SignerID) ([]Element, error) {
	key, err := publicKeyBytes(certificate)
	if err != nil {
		return nil, err
	}
	var bytes4 [4]byte
	if address.IsValid() {
		bytes4 = address.Unmap().As4()
	}
	length := Element{Tag: TagRecordLength, Value: make([]byte, 2)}
	elements := []Element{
		length,
		{Tag: TagDNSName, Value: text(dnsName)},
		{Tag: TagSubject, Value: text(id.Subject)},
		{Tag: TagRole, Value: number16(uint16(role))},
		{Tag: TagIssuer, Value: text(id.Issuer)},
		{Tag: TagSerial, Value: id.Serial},
		{Tag: TagPublicKey, Value: key},
		{Tag: TagCertificateSignature, Value: certificate.Signature},
		{Tag: TagCertificate, Value: certificate.Raw},
		{Tag: TagAddress, Value: bytes4[:]},
	}
	size := sizeOf(elements)
	if size > maxValue {
		return nil, fmt.Errorf("its record would have %d bytes, and a record can say %d: its certificate or a name is too long", size, maxValue)
	}
	binary.BigEndian.PutUint16(length.Value, uint16(size))
	return elements, nil
}

// text returns a text with its NUL.
func text(value string) []byte { return append([]byte(value), 0) }

func number16(number uint16) []byte { return binary.BigEndian.AppendUint16(nil, number) }

// sign puts the signature into a list that has zeros in its place.
func sign(raw []byte, signer *Token, digest Digest) error {
	file, err := Decode(raw)
	if err != nil {
		return fmt.Errorf("the list just encoded cannot be read: %w", err)
	}
	hash, _ := digest.Hash()
	sum := signedDigest(raw, file, hash)
	signature, err := signer.Signer.Sign(rand.Reader, sum, hash)
	if err != nil {
		return fmt.Errorf("%s: signing failed: %w", signer, err)
	}
	place, _ := find(file.Elements, TagSignature)
	if len(signature) != len(place.Value) {
		return fmt.Errorf("%s: gave a signature of %d bytes instead of %d", signer, len(signature), len(place.Value))
	}
	copy(raw[place.Position+overhead:], signature)
	return nil
}

// signedDigest returns the digest of what is signed: the whole file, the signature's own tag, length and
// value taken out. Raw is the file's bytes.
func signedDigest(raw []byte, file *File, hash crypto.Hash) []byte {
	signature, _ := find(file.Elements, TagSignature)
	digest := hash.New()
	digest.Write(raw[:signature.Position])
	digest.Write(raw[signature.Position+signature.size():])
	return digest.Sum(nil)
}
