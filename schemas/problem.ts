import { type Static, Type } from "typebox";

/** RFC 9457 problem details; the body of every error. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: "A link to the page that explains the code." }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String({ description: "What was got, what was expected, and what to do." }),
    code: Type.String({ description: "Stable; listed in docs/errors.md." }),
    errors: Type.Optional(
      Type.Array(Type.Object({ path: Type.String({ description: "JSON pointer." }), message: Type.String() })),
    ),
  },
  { $id: "Problem" },
);
export type Problem = Static<typeof Problem>;
