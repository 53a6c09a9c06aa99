// Package backup puts everything of a data directory that is needed to go on elsewhere into one file, and makes
// a data directory from such a file.
//
// A backup is a plain tar archive, or that archive encrypted by age (https://age-encryption.org/v1). Its first
// member is the manifest, which says what must follow: name, size and SHA-256 of each member, in their order.
// Its last member is the SHA-256 of all bytes before it. Nothing else is left open: headers, padding and the
// end are what archive/tar writes for that manifest, and the reader compares them byte by byte. So a single
// changed bit is found wherever it is, and there is no room for links, devices, sparse files or names that lead
// out of the directory. In need the file can be taken apart with tar(1).
//
// What belongs in a backup (Kept) comes from the files that cli.md and the README name: the store, the CAPF keys
// and certificates, and what a Troubleshoot fetched. Locks, the socket, the WAL, traces of sessions, copies from
// before an upgrade and earlier backups do not.
package backup
