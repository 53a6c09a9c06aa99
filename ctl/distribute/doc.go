// Package distribute brings the CAPF certificate and the certificate trust list to the servers of the
// cluster, and tells what each of them really holds.
//
// Every server's copy must be the same, since a phone takes the list from whichever TFTP server answers
// (ctl-format.md, "Rules"). So nothing is replaced blindly: what is there is read first, a list is only
// replaced by one that phones holding it would take (ctl.VerifySuccession), every file is written beside
// its name, flushed, read back and compared by SHA-256, and only then renamed; the certificates first, the
// list last. At no moment is a name that servers read missing or half. What was replaced stays beside as
// `<file>.old`. A run that was cut off anywhere is finished by the next one.
//
// Nodes are reached through Target, chosen by the scheme of the node's URL; `file` is the one there is.
// Names that come from outside (a common name becomes a file name) are checked before they are used,
// after capf-guide.md, "Known weaknesses": files written through an import's names.
package distribute
