// Package store holds what every store engine is built from: the writer that commits the work of many
// sessions in groups, prepared statements kept by their text, how times and addresses stand in columns,
// the limits of what an unauthenticated phone may have written, and the lock of the service on its data
// directory. The engines are packages of their own (sqlite; PostgreSQL is to come), each with its schema
// and its SQL; what an engine must do is written down as tests in storetest. Nobody needs an interface of
// all of it: sessions, migration and commands each declare the few methods that they call.
//
// The rules about phones stand in package capf and are applied by calling it, never repeated in SQL. Where
// a list is narrowed in SQL, that only spares reading phones which capf would then leave out.
//
// The group commit follows a measurement (house-style.md, 7): with sessions that each write three times,
// gathering for 5 ms lets nine writes share a flush to disk, against 1.2 without.
package store
