package capf

import "time"

// RevokeReason says why an administrator revokes an LSC, in the words of RFC 5280, 5.3.1.
type RevokeReason string

// The reasons that make sense for the certificate of a phone.
const (
	RevokeUnspecified        RevokeReason = "unspecified"
	RevokeKeyCompromise      RevokeReason = "key-compromise"
	RevokeAffiliationChanged RevokeReason = "affiliation-changed"
	RevokeSuperseded         RevokeReason = "superseded"
	RevokeCessation          RevokeReason = "cessation-of-operation"
	RevokePrivilegeWithdrawn RevokeReason = "privilege-withdrawn"
	// RevokeDeleted is what the store notes when the phone has confirmed a delete.
	RevokeDeleted RevokeReason = "deleted"
)

// RevokeReasons are those that an administrator may give.
var RevokeReasons = []RevokeReason{RevokeUnspecified, RevokeKeyCompromise, RevokeAffiliationChanged, RevokeSuperseded,
	RevokeCessation, RevokePrivilegeWithdrawn}

// UnmarshalText takes one of RevokeReasons.
func (v *RevokeReason) UnmarshalText(text []byte) error {
	return oneOf(v, "reason for a revocation", text, RevokeReasons)
}

// RevokedLSC is an LSC that was revoked just now, with what the administrator must know of its phone.
type RevokedLSC struct {
	Certificate Certificate
	// Phone is as it is after the revocation; nil where the phone is not in the store any more.
	Phone *Phone
	// WasCurrent tells that the phone was known to hold this one.
	WasCurrent bool
}

// Revocation is an entry of a CRL.
type Revocation struct {
	Serial    string // lower-case hex
	RevokedAt time.Time
	Reason    RevokeReason // empty or one that is not known: unspecified
}

// Revocations are what the CRL of one CAPF certificate is made of, read at one moment.
type Revocations struct {
	Entries []Revocation
	ReadAt  time.Time
	// Count is how many certificates, of whatever issuer, were revoked at that moment. It only grows.
	Count int64
}
