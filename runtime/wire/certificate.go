package wire

import (
	"encoding/binary"
	"fmt"
)

// The inner element of a certificate element: tag 1, length, then two bytes 00 01, then the DER
// certificate [C]. What tag and bytes mean is not known; servers and phones send them alike.
const (
	innerCertificateTag    = 1
	innerCertificateMark   = 1
	innerCertificateHeader = elementHeader + 2
)

// encodeCertificate is the value of a certificate element. A certificate too long for the inner length is
// too long for the outer one, at which Encode refuses it.
func encodeCertificate(der []byte) []byte {
	value := make([]byte, 0, innerCertificateHeader+len(der))
	value = append(value, innerCertificateTag)
	value = binary.BigEndian.AppendUint16(value, uint16(2+len(der)))
	value = binary.BigEndian.AppendUint16(value, innerCertificateMark)
	return append(value, der...)
}

// certificate is the DER inside a certificate element, not parsed; nil where the element is missing.
func (f *fields) certificate() []byte {
	if !f.present[TagCertificate] {
		return nil
	}
	der, err := decodeCertificate(f.values[TagCertificate])
	if err != nil {
		f.fail(TagCertificate, "%v", err)
	}
	return der
}

func decodeCertificate(value []byte) ([]byte, error) {
	if len(value) <= innerCertificateHeader {
		return nil, fmt.Errorf("%d bytes hold no certificate", len(value))
	}
	if value[0] != innerCertificateTag {
		return nil, fmt.Errorf("inner element %d, not %d", value[0], innerCertificateTag)
	}
	length := int(binary.BigEndian.Uint16(value[1:elementHeader]))
	if rest := len(value) - elementHeader; length != rest {
		return nil, fmt.Errorf("inner element of %d bytes where %d are left", length, rest)
	}
	if mark := binary.BigEndian.Uint16(value[elementHeader:]); mark != innerCertificateMark {
		return nil, fmt.Errorf("certificate marked %04x, not %04x", mark, innerCertificateMark)
	}
	return value[innerCertificateHeader:], nil
}
