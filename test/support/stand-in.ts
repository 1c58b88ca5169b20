/** Types that stand in for those of extensions that the server does not have. */

/** A type whose binary form is the bytes that are put in. */
export const standInSql = (type: string) => `
create type ${type};
create function ${type}_in(cstring) returns ${type} language internal immutable strict as 'byteain';
create function ${type}_out(${type}) returns cstring language internal immutable strict as 'byteaout';
create function ${type}_send(${type}) returns bytea language internal immutable strict as 'byteasend';
create type ${type} (input = ${type}_in, output = ${type}_out, send = ${type}_send, like = bytea)`
