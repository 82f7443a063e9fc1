"""News of about twenty words, each in several wordings, for mrpc and for the premises of rte."""

from datamodules.embedded.frame import Frame

NEWS = (
    Frame(
        (
            "{company} said on {day} that it will <buy|acquire> {company2} for {number} million "
            "dollars <in cash|in shares|> by the end of {month}.",
            "By the end of {month}, {company2} will be <bought|taken over> by {company} for "
            "{number} million dollars <in total|>, according to a statement <issued|released> on "
            "{day}.",
            "In a {day} statement, {company} <announced|disclosed> plans to take over {company2} "
            "before {month} ends, paying {number} million dollars.",
        ),
        near=(
            "{company} said on {day} that it will no longer buy {company2}, which had been valued "
            "at {number} million dollars, by the end of {month}.",
        ),
        swap=("company", "company2"),
    ),
    Frame(
        (
            "{man} {surname}, a {person} from {city}, was <arrested|detained> on {day} after "
            "police found {number} stolen {thing:s} in his <house|home>.",
            "Police <arrested|took into custody> {man} {surname} on {day} when {number} stolen "
            "{thing:s} were discovered in the house of the {city} {person}.",
            "After <discovering|finding> {number} stolen {thing:s} at his home, officers detained "
            "the {person} {man} {surname} of {city} on {day}.",
        ),
        near=(
            "{man} {surname}, a {person} from {city}, was released on {day} after police found no "
            "trace of the {number} stolen {thing:s} in his house.",
            "{man} {surname}, a {person} from {city}, called police on {day} after {number} "
            "{thing:s} were stolen from his house.",
        ),
    ),
    Frame(
        (
            "Shares of {company} <rose|climbed> {number} percent on {day}, while those of "
            "{company2} <fell|dropped> after the <weak|poor> results published in {city}.",
            "After poor results published in {city}, {company2} <declined|lost ground> on {day}, "
            "whereas {company} stock <gained|was up> {number} percent.",
            "On {day} the stock of {company} gained {number} percent; {company2} shares slid on "
            "the weak figures <released|presented> in {city}.",
        ),
        near=(
            "Shares of {company} fell {number} percent on {day}, while those of {company2} rose "
            "after the strong results published in {city}.",
        ),
        swap=("company", "company2"),
    ),
    Frame(
        (
            "The mayor of {city} <opened|inaugurated> a new {venue} on {day} that cost {number} "
            "million dollars and took three years to <build|construct>.",
            "A {venue} that was three years in the making and cost {number} million dollars was "
            "<opened|inaugurated> by the mayor of {city} on {day}.",
            "On {day}, after three years of <work|construction>, the {city} mayor opened a "
            "{number} million dollar {venue}.",
        ),
        near=(
            "The mayor of {city} closed a {venue} on {day} that had cost {number} million dollars "
            "and was open for only three years.",
            "The mayor of {city} refused on {day} to pay the {number} million dollars for a new "
            "{venue} after three years of work.",
        ),
    ),
    Frame(
        (
            "{woman} {surname} <beat|defeated> {woman2} {surname2} in the final of the {city} "
            "chess tournament on {day} after {low} hours and {number} moves.",
            "The final of the chess tournament in {city} ended on {day} with {woman2} {surname2} "
            "<losing|going down> to {woman} {surname} after {low} hours and {number} moves.",
            "It took {woman} {surname} {low} hours and {number} moves to <overcome|win against> "
            "{woman2} {surname2} in {day}'s chess final in {city}.",
        ),
        near=(
            "{woman} {surname} and {woman2} {surname2} drew the final of the {city} chess "
            "tournament on {day} after {low} hours and {number} moves.",
        ),
        swap=("surname", "surname2"),
    ),
    Frame(
        (
            "{company} will <close|shut> {number} stores in {city} this {month} because of falling "
            "sales, the company <told|informed> its workers on {day}.",
            "Workers of {company} <learned|were told> on {day} that {number} stores in {city} will "
            "be <closed|shut down> in {month} as sales fall.",
            "Citing falling sales, {company} told employees on {day} it would shut {number} of its "
            "{city} shops in {month}.",
        ),
        near=(
            "{company} will open {number} stores in {city} this {month} because of rising sales, "
            "the company told its workers on {day}.",
            "{company} will not close {number} stores in {city} this {month} despite falling "
            "sales, the company told its workers on {day}.",
        ),
    ),
    Frame(
        (
            "A fire at a {venue} in {city} <injured|hurt> {number} people on {day} and was <put "
            "out|extinguished> only after {low} hours.",
            "{number} people were <injured|hurt> on {day} in {city} when a fire broke out at a "
            "{venue}; firefighters needed {low} hours to put it out.",
            "Firefighters fought for {low} hours on {day} against a {venue} fire in {city} that "
            "left {number} people injured.",
        ),
        near=(
            "A fire at a {venue} in {city} killed {number} people on {day} and was put out only "
            "after {low} hours.",
            "A fire at a {venue} in {city} threatened {number} people on {day}, but nobody was "
            "hurt and it was put out after {low} hours.",
        ),
    ),
    Frame(
        (
            "Police in {city} say the {person} <shot at|attacked> a {person2} near the {venue} on "
            "{day} and <escaped|fled> in a {color} car.",
            "A {person2} was <attacked|assaulted> on {day} near the {venue} by a {person} who fled "
            "in a {color} car, {city} police say.",
            "According to police in {city}, the {person} got away in a {color} car on {day} after "
            "<attacking|assaulting> a {person2} close to the {venue}.",
        ),
        near=(
            "Police in {city} say the {person} <saved|protected> a {person2} near the {venue} on "
            "{day} and left in a {color} car.",
        ),
        swap=("person", "person2"),
    ),
    Frame(
        (
            "The <lawyers|attorneys> of {man} {surname} asked the court in {city} on {day} to "
            "reduce his prison term from {high} to {mid} months.",
            "On {day} a {city} court was asked by the <lawyers|attorneys> of {man} {surname} to "
            "<cut|shorten> his sentence to {mid} months from {high}.",
            "A prison term of {mid} instead of {high} months is what {man} {surname}'s lawyers "
            "<requested|demanded> from the court in {city} on {day}.",
        ),
        near=(
            "The court in {city} reduced the prison term of {man} {surname} on {day} from {high} "
            "to {mid} months, his lawyers said.",
            "The lawyers of {man} {surname} asked the court in {city} on {day} not to raise his "
            "prison term from {mid} to {high} months.",
        ),
    ),
    Frame(
        (
            "{number} passengers were <rescued|saved> near {city} on {day} after a <ferry|ship> of "
            "{company} <hit|struck> a rock in thick fog.",
            "After it struck a rock in <dense|thick> fog, a ferry <run|operated> by {company} had "
            "to be left by its {number} passengers, all rescued near {city} on {day}.",
            "Rescuers <brought|took> {number} passengers to safety near {city} on {day} when a "
            "{company} ferry ran onto a rock in the fog.",
        ),
        near=(
            "{number} passengers are missing near {city} since {day} after a ferry of {company} "
            "hit a rock in thick fog.",
        ),
    ),
)

UNSEEN_NEWS = (
    Frame(
        (
            "{woman} {surname} will <succeed|replace> {man} {surname2} as head of {company} in "
            "{month}, the board <decided|resolved> at a meeting in {city} on {day}.",
            "Meeting in {city} on {day}, the board <chose|named> {woman} {surname} to follow {man} "
            "{surname2} as head of {company} in {month}.",
            "{man} {surname2} will hand over as head of {company} to {woman} {surname} in {month}, "
            "according to a board decision <taken|made> on {day} in {city}.",
        ),
        near=(
            "{woman} {surname} will remain deputy to {man} {surname2}, head of {company}, in "
            "{month}, the board decided at a meeting in {city} on {day}.",
            "{man} {surname2} will succeed {woman} {surname} as head of {company} in {month}, the "
            "board decided at a meeting in {city} on {day}.",
        ),
    ),
    Frame(
        (
            "Heavy <rain|storms> <flooded|swamped> {number} homes around {city} on {day}, and "
            "schools will stay <closed|shut> until the end of {month}.",
            "Schools around {city} will not reopen before {month} ends, after heavy rain on {day} "
            "put {number} <homes|houses> under water.",
            "{number} houses around {city} were under water on {day} after <heavy|intense> rain, "
            "which keeps schools shut through {month}.",
        ),
        near=(
            "Heavy rain flooded {number} homes around {city} on {day}, but schools will stay open "
            "until the end of {month}.",
            "Heavy rain flooded {number} schools around {city} on {day}, and homes will stay empty "
            "until the end of {month}.",
        ),
    ),
    Frame(
        (
            "{company} has <sued|taken to court> {company2} over the design of its {color} "
            "{thing:s} and <wants|demands> {number} million dollars, a court in {city} confirmed.",
            "A court in {city} confirmed that {company2} is being sued by {company} for {number} "
            "million dollars over the <look|design> of its {color} {thing:s}.",
        ),
        near=(
            "{company} has paid {company2} {number} million dollars for the design of its {color} "
            "{thing:s}, a court in {city} confirmed.",
        ),
        swap=("company", "company2"),
    ),
)
