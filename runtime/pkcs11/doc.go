// Package pkcs11 uses RSA keys that lie in a token (smart card, USB token, HSM) by PKCS #11: the administrator's
// security tokens (SAST) that sign trust lists, and CAPF's own key. It finds the token and the key that a URI
// names (RFC 7512), logs in with a PIN that is asked for when it is needed, and gives keys that are opened at
// their first use and opened again after the token was pulled.
//
// Facts about the interface come from PKCS #11 2.40 (OASIS), which section comments cite as [P11]; those about the
// padding of RSA from RFC 8017. Sessions, login and signatures are crypto11's; miekg/pkcs11, on which that stands,
// does what crypto11 does not show: the list of slots, what a token can do, and decryption without padding.
package pkcs11
