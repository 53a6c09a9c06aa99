// Package ctl reads, writes, signs and verifies the certificate trust list, CTLFile.tlv: the list of
// server certificates that a phone trusts, signed by an administrator's security token (SAST); and
// ITLFile.tlv, which newer phones take beside it, of the same layout.
//
// A list has two layers. The elements as they came (tag, length, value, in their order, unknown ones
// included) re-encode to the same bytes; File, Header and Record are typed views read from them, in
// which a known element may stand only once. Everything that is read counts as hostile until it has been
// checked: lengths are compared with what is there before anything is allocated, and an error names the
// byte and the element.
//
// The facts are those of ctl-format.md. Where it leaves something open the choice is explained at the
// place where it is made: name.go (names, serial numbers), build.go (order of the records, records of
// tokens), contents.go (what stands in an ITL, and who signs it), file.go (which hash a hash record has),
// verify.go (what succession asks for).
//
// The package needs nothing but the standard library and knows nothing of a running service. Signing
// goes through crypto.Signer, so that a key may also lie in a hardware token. Programs that work with
// 512-bit tokens need the setting `//go:debug rsa1024min=0` in their main package.
package ctl
