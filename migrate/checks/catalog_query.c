/*
 * The questions to the catalogs: see catalog_query.h. Sources: PostgreSQL manual, "System Catalogs", and what pg_dump
 * dumps. Columns that came with a later version are read through to_jsonb(), which has no word on those that are not
 * there. Objects that belong to an extension are left to the extension's version.
 */
#include "catalog_query.h"

/* SQL is laid out by hand. */
/* clang-format off */

#define USER_SCHEMA "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
#define NOT_OF_EXTENSION(catalog, oid) \
	" AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_catalog." catalog "'::regclass" \
	" AND e.objid = " oid " AND e.deptype = 'e')"
#define NAME(n, name)  "quote_ident(" n ".nspname) || '.' || quote_ident(" name ")"
#define RELATION       NAME("n", "c.relname")
#define PART(name)     RELATION " || '.' || quote_ident(" name ")"
#define KIND_OF(c) \
	"CASE " c ".relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'" \
	" WHEN 'f' THEN 'foreign table' WHEN 'c' THEN 'composite type' ELSE 'table' END"
#define RELATION_KIND  KIND_OF("c")
#define OWNER(oid)     "pg_get_userbyid(" oid ")::text"
#define LIST(array)    "(SELECT string_agg(o, ', ' ORDER BY o COLLATE \"C\") FROM unnest(" array ") o)"
/* Grants as they hold: none written down means the defaults of that kind of object. */
#define PRIVILEGES(acl, kind, owner) \
	"(SELECT string_agg(g::text, ', ' ORDER BY g::text COLLATE \"C\") FROM unnest(coalesce(" acl \
	", acldefault(" kind ", " owner "))) g)"
#define ENABLED(column) \
	"CASE " column " WHEN 'O' THEN 'yes' WHEN 'D' THEN 'no' WHEN 'R' THEN 'on replicas' ELSE 'always' END"

/* SELECT kind, object, then one row for each (attribute, value); those without a value are dropped. */
#define SELECT(kind, object) "SELECT " kind ", " object ", f.attribute, f.value"
#define WHOLE                ", '', '' "
#define PART_OF(kind, name)  ", " kind ", " name " "
#define PART_OF_RELATION     PART_OF(RELATION_KIND, RELATION)
#define FACTS                ", LATERAL (VALUES ('', '')"
#define AND(name, value)     ", ('" name "', " value ")"
#define END                  ") f (attribute, value) "
#define FROM_RELATIONS       "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
#define OF_RELATIONS         "WHERE " USER_SCHEMA NOT_OF_EXTENSION("pg_class", "c.oid")

static const char schemas[] =
	SELECT("'schema'", "quote_ident(n.nspname)") WHOLE "FROM pg_namespace n" FACTS
	AND("owner", OWNER("n.nspowner"))
	AND("privileges", PRIVILEGES("n.nspacl", "'n'", "n.nspowner"))
	AND("comment", "obj_description(n.oid, 'pg_namespace')")
	END "WHERE " USER_SCHEMA NOT_OF_EXTENSION("pg_namespace", "n.oid");

static const char relations[] =
	SELECT(RELATION_KIND, RELATION) WHOLE FROM_RELATIONS FACTS
	AND("owner", OWNER("c.relowner"))
	AND("privileges", PRIVILEGES("c.relacl", "CASE c.relkind WHEN 'S' THEN 's'::\"char\" ELSE 'r' END", "c.relowner"))
	AND("persistence", "CASE c.relpersistence WHEN 'u' THEN 'unlogged' END")
	AND("tablespace", "(SELECT spcname FROM pg_tablespace WHERE oid = c.reltablespace)")
	AND("access method", "CASE WHEN c.relkind IN ('r', 'm') THEN (SELECT amname FROM pg_am WHERE oid = c.relam) END")
	AND("options", LIST("c.reloptions"))
	AND("options for long values",
	    "(SELECT " LIST("t.reloptions") " FROM pg_class t WHERE t.oid = c.reltoastrelid)")
	AND("row security", "CASE WHEN c.relrowsecurity THEN 'enabled' END")
	AND("row security for the owner", "CASE WHEN c.relforcerowsecurity THEN 'forced' END")
	AND("replica identity",
	    "CASE WHEN c.relkind IN ('r', 'p') THEN CASE c.relreplident WHEN 'f' THEN 'full' WHEN 'i' THEN 'index'"
	    " WHEN 'n' THEN 'nothing' END END")
	AND("partitioned by", "CASE c.relkind WHEN 'p' THEN pg_get_partkeydef(c.oid) END")
	AND("partition bound", "pg_get_expr(c.relpartbound, c.oid)")
	AND("inherits",
	    "(SELECT string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno)"
	    " FROM pg_inherits i WHERE i.inhrelid = c.oid)")
	AND("definition", "CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END")
	AND("populated", "CASE WHEN c.relkind = 'm' AND NOT c.relispopulated THEN 'no' END")
	AND("column order",
	    "CASE WHEN c.relkind IN ('r', 'p', 'f', 'c') THEN (SELECT string_agg(a.attname, E'\\x1f' ORDER BY a.attnum)"
	    " FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) END")
	AND("comment", "obj_description(c.oid, 'pg_class')")
	END OF_RELATIONS " AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')";

static const char sequences[] =
	SELECT("'sequence'", RELATION) WHOLE FROM_RELATIONS "JOIN pg_sequence s ON s.seqrelid = c.oid" FACTS
	AND("type", "format_type(s.seqtypid, NULL)")
	AND("start", "s.seqstart::text")
	AND("increment", "s.seqincrement::text")
	AND("minimum", "s.seqmin::text")
	AND("maximum", "s.seqmax::text")
	AND("cache", "s.seqcache::text")
	AND("cycle", "CASE WHEN s.seqcycle THEN 'yes' END")
	AND("owned by",
	    "(SELECT d.refobjid::regclass || '.' || quote_ident(a.attname) FROM pg_depend d"
	    " JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid"
	    " WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid"
	    " AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i') LIMIT 1)")
	END OF_RELATIONS " AND f.attribute <> ''";

static const char columns[] =
	SELECT("'column'", PART("a.attname")) PART_OF_RELATION FROM_RELATIONS
	"JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
	" JOIN pg_type t ON t.oid = a.atttypid"
	" LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum" FACTS
	AND("type", "format_type(a.atttypid, a.atttypmod)")
	AND("not null", "CASE WHEN a.attnotnull THEN 'yes' END")
	AND("default", "CASE a.attgenerated WHEN '' THEN pg_get_expr(d.adbin, c.oid) END")
	AND("generated", "CASE a.attgenerated WHEN '' THEN NULL ELSE pg_get_expr(d.adbin, c.oid) END")
	AND("generated how", "CASE a.attgenerated WHEN 'v' THEN 'virtual' END")
	AND("identity", "CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END")
	AND("collation",
	    "CASE WHEN a.attcollation <> t.typcollation THEN (SELECT " NAME("ln", "l.collname")
	    " FROM pg_collation l JOIN pg_namespace ln ON ln.oid = l.collnamespace WHERE l.oid = a.attcollation) END")
	AND("storage", "CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage::text END")
	AND("compression", "nullif(to_jsonb(a) ->> 'attcompression', '')")
	AND("statistics target", "nullif(to_jsonb(a) ->> 'attstattarget', '-1')")
	/* pg_attver is the server's own (15.20), a number for each column that is added; pg_dump leaves it out too. */
	AND("options",
	    "(SELECT string_agg(o, ', ' ORDER BY o COLLATE \"C\") FROM unnest(a.attoptions) o WHERE o !~ '^pg_attver=')")
	AND("foreign options", LIST("a.attfdwoptions"))
	AND("privileges", LIST("a.attacl::text[]"))
	AND("comment", "col_description(c.oid, a.attnum)")
	END OF_RELATIONS " AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')";

static const char constraints[] =
	SELECT("'constraint'", PART("k.conname")) PART_OF_RELATION FROM_RELATIONS
	"JOIN pg_constraint k ON k.conrelid = c.oid" FACTS
	AND("definition", "pg_get_constraintdef(k.oid)")
	AND("validated", "CASE WHEN NOT k.convalidated THEN 'no' END")
	AND("its own triggers",
	    "(SELECT 'disabled' FROM pg_trigger g WHERE g.tgconstraint = k.oid AND g.tgisinternal AND g.tgenabled = 'D'"
	    " LIMIT 1)")
	AND("comment", "obj_description(k.oid, 'pg_constraint')")
	END OF_RELATIONS " AND k.contype <> 't'"
	" UNION ALL "
	SELECT("'constraint'", NAME("n", "t.typname") " || '.' || quote_ident(k.conname)")
	PART_OF("'domain'", NAME("n", "t.typname"))
	"FROM pg_constraint k JOIN pg_type t ON t.oid = k.contypid JOIN pg_namespace n ON n.oid = t.typnamespace" FACTS
	AND("definition", "pg_get_constraintdef(k.oid)")
	AND("validated", "CASE WHEN NOT k.convalidated THEN 'no' END")
	AND("comment", "obj_description(k.oid, 'pg_constraint')")
	END "WHERE " USER_SCHEMA NOT_OF_EXTENSION("pg_type", "t.oid");

/* An index that a constraint made is a part of the constraint. */
static const char indexes[] =
	SELECT("'index'", RELATION)
	PART_OF("CASE WHEN k.oid IS NULL THEN " KIND_OF("r") " ELSE 'constraint' END",
		NAME("rn", "r.relname") " || coalesce('.' || quote_ident(k.conname), '')")
	FROM_RELATIONS
	"JOIN pg_index x ON x.indexrelid = c.oid JOIN pg_class r ON r.oid = x.indrelid"
	" JOIN pg_namespace rn ON rn.oid = r.relnamespace"
	" LEFT JOIN pg_constraint k ON k.conindid = c.oid AND k.conrelid = r.oid AND k.contype IN ('p', 'u', 'x')" FACTS
	AND("definition", "pg_get_indexdef(c.oid)")
	AND("valid", "CASE WHEN NOT x.indisvalid THEN 'no' END")
	AND("ready", "CASE WHEN NOT x.indisready THEN 'no' END")
	AND("clustered", "CASE WHEN x.indisclustered THEN 'yes' END")
	AND("replica identity", "CASE WHEN x.indisreplident THEN 'yes' END")
	AND("tablespace", "(SELECT spcname FROM pg_tablespace WHERE oid = c.reltablespace)")
	AND("partition of", "(SELECT i.inhparent::regclass::text FROM pg_inherits i WHERE i.inhrelid = c.oid)")
	AND("statistics target",
	    "(SELECT string_agg(a.attnum || ': ' || (to_jsonb(a) ->> 'attstattarget'), ', ' ORDER BY a.attnum)"
	    " FROM pg_attribute a WHERE a.attrelid = c.oid AND coalesce(to_jsonb(a) ->> 'attstattarget', '-1') <> '-1')")
	AND("comment", "obj_description(c.oid, 'pg_class')")
	END OF_RELATIONS;

static const char triggers[] =
	SELECT("'trigger'", PART("g.tgname")) PART_OF_RELATION FROM_RELATIONS
	"JOIN pg_trigger g ON g.tgrelid = c.oid" FACTS
	AND("definition", "pg_get_triggerdef(g.oid)")
	AND("enabled", ENABLED("g.tgenabled"))
	AND("comment", "obj_description(g.oid, 'pg_trigger')")
	END OF_RELATIONS " AND NOT g.tgisinternal"
	" UNION ALL "
	SELECT("'event trigger'", "quote_ident(g.evtname)") WHOLE "FROM pg_event_trigger g" FACTS
	AND("definition",
	    "concat_ws(' ', 'ON', g.evtevent, 'WHEN TAG IN', g.evttags::text, 'EXECUTE', g.evtfoid::regprocedure::text)")
	AND("owner", OWNER("g.evtowner"))
	AND("enabled", ENABLED("g.evtenabled"))
	END "WHERE true" NOT_OF_EXTENSION("pg_event_trigger", "g.oid");

static const char rules[] =
	SELECT("'rule'", PART("r.rulename")) PART_OF_RELATION FROM_RELATIONS
	"JOIN pg_rewrite r ON r.ev_class = c.oid" FACTS
	AND("definition", "pg_get_ruledef(r.oid)")
	AND("enabled", ENABLED("r.ev_enabled"))
	END OF_RELATIONS " AND r.rulename <> '_RETURN'";

static const char functions[] =
	SELECT("CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END",
	       NAME("n", "p.proname") " || '(' || pg_get_function_identity_arguments(p.oid) || ')'") WHOLE
	"FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace" FACTS
	AND("definition",
	    "CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) ELSE (SELECT concat_ws(', ', a.aggkind, a.aggtransfn,"
	    " a.aggfinalfn, a.aggcombinefn, a.aggtranstype::regtype, a.agginitval)"
	    " FROM pg_aggregate a WHERE a.aggfnoid = p.oid) END")
	AND("owner", OWNER("p.proowner"))
	AND("privileges", PRIVILEGES("p.proacl", "'f'", "p.proowner"))
	AND("comment", "obj_description(p.oid, 'pg_proc')")
	END "WHERE " USER_SCHEMA NOT_OF_EXTENSION("pg_proc", "p.oid");

static const char types[] =
	SELECT("CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range type' ELSE 'type' END",
	       NAME("n", "t.typname")) WHOLE
	"FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace" FACTS
	AND("labels",
	    "(SELECT string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)")
	AND("base type",
	    "CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod)"
	    " WHEN 'r' THEN (SELECT format_type(r.rngsubtype, NULL) FROM pg_range r WHERE r.rngtypid = t.oid) END")
	AND("not null", "CASE WHEN t.typnotnull THEN 'yes' END")
	AND("default", "CASE t.typtype WHEN 'd' THEN t.typdefault END")
	AND("owner", OWNER("t.typowner"))
	AND("privileges", PRIVILEGES("t.typacl", "'T'", "t.typowner"))
	AND("comment", "obj_description(t.oid, 'pg_type')")
	END "WHERE t.typtype IN ('e', 'd', 'r', 'b') AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)"
	" AND " USER_SCHEMA NOT_OF_EXTENSION("pg_type", "t.oid");

static const char policies[] =
	SELECT("'policy'", PART("p.polname")) PART_OF_RELATION FROM_RELATIONS
	"JOIN pg_policy p ON p.polrelid = c.oid" FACTS
	AND("definition",
	    "concat_ws(' ', CASE WHEN NOT p.polpermissive THEN 'AS RESTRICTIVE' END, 'FOR', p.polcmd, 'TO',"
	    " (SELECT string_agg(CASE r WHEN 0 THEN 'public' ELSE " OWNER("r") " END, ', ' ORDER BY r)"
	    " FROM unnest(p.polroles) r), 'USING (' || pg_get_expr(p.polqual, c.oid) || ')',"
	    " 'WITH CHECK (' || pg_get_expr(p.polwithcheck, c.oid) || ')')")
	END OF_RELATIONS;

static const char extensions[] =
	SELECT("'extension'", "quote_ident(x.extname)") WHOLE
	"FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace" FACTS
	AND("version", "x.extversion")
	AND("schema", "quote_ident(n.nspname)")
	END;

static const char statistics[] =
	SELECT("'statistics'", NAME("sn", "s.stxname")) PART_OF_RELATION FROM_RELATIONS
	"JOIN pg_statistic_ext s ON s.stxrelid = c.oid JOIN pg_namespace sn ON sn.oid = s.stxnamespace" FACTS
	AND("definition", "pg_get_statisticsobjdef(s.oid)")
	AND("statistics target", "nullif(to_jsonb(s) ->> 'stxstattarget', '-1')")
	AND("owner", OWNER("s.stxowner"))
	AND("comment", "obj_description(s.oid, 'pg_statistic_ext')")
	END OF_RELATIONS;

static const char replication[] =
	SELECT("'publication'", "quote_ident(p.pubname)") WHOLE "FROM pg_publication p" FACTS
	AND("definition", "(to_jsonb(p) - 'oid' - 'pubowner')::text")
	AND("owner", OWNER("p.pubowner"))
	AND("tables",
	    "(SELECT string_agg(r.prrelid::regclass::text, ', ' ORDER BY r.prrelid::regclass::text COLLATE \"C\")"
	    " FROM pg_publication_rel r WHERE r.prpubid = p.oid)")
	END "WHERE true" NOT_OF_EXTENSION("pg_publication", "p.oid")
	" UNION ALL "
	SELECT("'subscription'", "quote_ident(s.subname)") WHOLE "FROM pg_subscription s" FACTS
	AND("enabled", "s.subenabled::text")
	AND("publications", "s.subpublications::text")
	END "WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())";

static const char roles[] =
	SELECT("'role'", "quote_ident(r.rolname)") WHOLE "FROM pg_roles r" FACTS
	AND("attributes",
	    "concat_ws(', ', CASE WHEN r.rolsuper THEN 'superuser' END, CASE WHEN r.rolinherit THEN 'inherit' END,"
	    " CASE WHEN r.rolcreaterole THEN 'createrole' END, CASE WHEN r.rolcreatedb THEN 'createdb' END,"
	    " CASE WHEN r.rolcanlogin THEN 'login' END, CASE WHEN r.rolreplication THEN 'replication' END,"
	    " CASE WHEN r.rolbypassrls THEN 'bypassrls' END, 'connections ' || r.rolconnlimit)")
	AND("member of",
	    "(SELECT string_agg(" OWNER("m.roleid") ", ', ' ORDER BY " OWNER("m.roleid") " COLLATE \"C\")"
	    " FROM pg_auth_members m WHERE m.member = r.oid)")
	AND("settings", LIST("r.rolconfig"))
	END "WHERE r.rolname !~ '^pg_'"
	" UNION ALL "
	SELECT("'default privileges'", "concat_ws(' ', " OWNER("d.defaclrole") ", n.nspname, d.defaclobjtype)") WHOLE
	"FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace" FACTS
	AND("privileges", LIST("d.defaclacl::text[]"))
	END;

static const char database[] =
	SELECT("'database'", "quote_ident(d.datname)") WHOLE "FROM pg_database d" FACTS
	AND("owner", OWNER("d.datdba"))
	AND("privileges", PRIVILEGES("d.datacl", "'d'", "d.datdba"))
	AND("settings",
	    "(SELECT string_agg(o, ', ' ORDER BY o COLLATE \"C\") FROM pg_db_role_setting s, unnest(s.setconfig) o"
	    " WHERE s.setdatabase = d.oid)")
	AND("comment", "shobj_description(d.oid, 'pg_database')")
	END "WHERE d.datname = current_database()";

/* Objects that few have: that they are there, under their name. Those of the system have OIDs below 16384. */
#define REST(catalog) \
	"SELECT i.type, i.identity, '', '', '', '' FROM " catalog " o," \
	" LATERAL pg_identify_object('pg_catalog." catalog "'::regclass, o.oid, 0) i" \
	" WHERE o.oid >= 16384" NOT_OF_EXTENSION(catalog, "o.oid")
#define OR_REST(catalog) " UNION ALL " REST(catalog)

static const char others[] =
	REST("pg_cast") OR_REST("pg_operator") OR_REST("pg_opclass") OR_REST("pg_opfamily") OR_REST("pg_conversion")
	OR_REST("pg_collation") OR_REST("pg_ts_config") OR_REST("pg_ts_dict") OR_REST("pg_ts_parser")
	OR_REST("pg_ts_template") OR_REST("pg_foreign_data_wrapper") OR_REST("pg_foreign_server")
	OR_REST("pg_language") OR_REST("pg_am") OR_REST("pg_transform");

const struct catalog_query catalog_queries[] = {
	{"schemas", schemas},
	{"relations", relations},
	{"sequences", sequences},
	{"columns", columns},
	{"constraints", constraints},
	{"indexes", indexes},
	{"triggers", triggers},
	{"rules", rules},
	{"functions", functions},
	{"types", types},
	{"policies", policies},
	{"extensions", extensions},
	{"extended statistics", statistics},
	{"publications", replication},
	{"roles", roles},
	{"database", database},
	{"other objects", others},
	{NULL, NULL},
};
