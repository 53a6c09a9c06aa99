// Package capf holds the domain of the Certificate Authority Proxy Function: phones, their certificate
// operations, the certificates, the cluster and its parameters, with every rule about what may be set and
// what follows from it. Commands, pages, sessions and stores all ask here, so that a rule stands once.
//
// Its facts come from the CAPF chapter of the Cisco CallManager Security Guide 4.1(3); rules are cited by
// the row of our reference (A1 to H). The package imports the standard library only.
package capf
