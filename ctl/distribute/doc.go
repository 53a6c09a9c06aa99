// Package distribute brings the CAPF certificates and the certificate trust list to the servers of the
// cluster, tells what each of them really holds, and tries beforehand whether they can be reached.
//
// Every server's copy must be the same, since a phone takes the list from whichever TFTP server answers
// (ctl-format.md, "Rules"). So nothing is replaced blindly: what is there is read first, a list is only
// replaced by one that phones holding it would take (ctl.VerifySuccession), every file is written beside
// its name, flushed, read back and compared by SHA-256, and only when all files of a node are that far are
// they renamed; the certificates first, then an ITL if there is one, the list last. At no moment does a name that servers read hold half
// a file. What was replaced stays beside as `<file>.old`. A run that was cut off anywhere is finished by the
// next one.
//
// Nodes are reached through Target, chosen by the scheme of the node's URL: `file` for a folder of this
// machine, `sftp` for version 3 of the SSH file transfer protocol (draft-ietf-secsh-filexfer-02) with the
// extensions of OpenSSH's PROTOCOL file where a server has them: posix-rename, fsync, statvfs. Servers are
// known by their host keys, and never taken on trust (capf-guide.md, E4, has one name and password on all
// servers).
//
// Names that come from outside (a common name becomes a file name) are checked before they are used,
// after capf-guide.md, "Known weaknesses": files written through an import's names. No server is asked for
// the names in a folder: those of a cluster's TFTP folder are many, and none of them is needed.
package distribute
