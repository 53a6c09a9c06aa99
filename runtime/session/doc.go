// Package session is the phone service: a TLS server that speaks the CAPF protocol and carries out, for
// each phone that calls and proves who it is, the one operation that is pending for it.
//
// The files are its diagram: a server accepts connections, a limiter says how many may speak, a connection
// becomes a session, a session authenticates its phone and runs one operation: install, delete or
// troubleshoot, each in its file. The order of messages comes from capf-protocol.md ("Sessions"), what
// follows from them from capf-guide.md; what must be true on disk at each step is said where it is done.
package session
