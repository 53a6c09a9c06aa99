package capf

// PhoneGroup is a number of phones that read alike at one moment: in what is known of their certificates, and in
// how it stands with their last operation.
type PhoneGroup struct {
	Phone Phone // as any of them, as far as that goes: LSCKnown, MIC, the end of LSC, and Last without names
	Count int
}
