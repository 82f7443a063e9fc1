"""Questions that people ask, each in several wordings, for qqp."""

from datamodules.embedded.frame import Frame

QUESTIONS = (
    Frame(
        (
            "<How can I|How do I|What is the best way to> learn {skill} <quickly|fast> at home?",
            "What <should I do|must one do> to pick up {skill} at home in a short time?",
            "Is there a fast <method|way> of learning {skill} on my own at home?",
        ),
        near=(
            "Why should I learn {skill} at home?",
            "How can I teach {skill} from home?",
            "How long does it take to learn {skill} at home?",
        ),
    ),
    Frame(
        (
            "What is the <cheapest|least expensive> way to <travel|get> from {city} to {city2}?",
            "How do I <travel|go> from {city} to {city2} for as little money as possible?",
            "How can one <reach|get to> {city2} from {city} on a <small|tight> budget?",
        ),
        near=(
            "What is the fastest way to travel from {city} to {city2}?",
            "Is it cheaper to live in {city} than in {city2}?",
        ),
        swap=("city", "city2"),
    ),
    Frame(
        (
            "<Why|For what reason> does my {device} <switch|turn> itself off <all the time|again "
            "and again>?",
            "What <causes|makes> a {device} <shut|power> down without being asked?",
            "My {device} keeps turning off by itself; what is the <reason|cause>?",
        ),
        near=(
            "Why does my {device} not turn off?",
            "How do I make my {device} turn itself off at night?",
            "Why does my {device} not switch on after it was turned off?",
        ),
    ),
    Frame(
        (
            "What <helps|works> against {illness} without <medicine|drugs>?",
            "How can I <get rid of|treat> {illness} naturally?",
            "Which home remedies are <good|effective> for {illness}?",
        ),
        near=(
            "What causes {illness}?",
            "Which medicine is good for {illness}?",
            "How do I know whether I have {illness}?",
        ),
    ),
    Frame(
        (
            "How <much money|much> does a {person} <earn|make> in {city}?",
            "What is the <average|typical> <salary|pay> of a {person} in {city}?",
            "What <income|wage> can a {person} expect in {city}?",
        ),
        near=(
            "How much does it cost to hire a {person} in {city}?",
            "How do I become a {person} in {city}?",
            "How many hours does a {person} work in {city}?",
        ),
    ),
    Frame(
        (
            "Why would one choose the work of a {person} over that of a {person2}?",
            "What are the <advantages|benefits> of being a {person} instead of a {person2}?",
        ),
        near=(
            "What do a {person} and a {person2} have in common?",
            "Can a {person} also work as a {person2}?",
        ),
        swap=("person", "person2"),
    ),
    Frame(
        (
            "<What can I use|What could I take> <in place of|instead of> eggs in {dish}?",
            "Which ingredient <replaces|can replace> eggs when I make {dish}?",
            "What is a good <substitute|replacement> for eggs in {dish}?",
        ),
        near=(
            "How many eggs do I need for {dish}?",
            "What can I do with the eggs left from {dish}?",
            "Why are there eggs in {dish}?",
        ),
    ),
    Frame(
        (
            "How do I <move|copy|transfer> photos from my {gadget} to my {gadget2}?",
            "What is the <easiest|simplest> way of getting the pictures on my {gadget} onto my "
            "{gadget2}?",
            "How can the pictures of a {gadget} be <put on|sent to> a {gadget2}?",
        ),
        near=(
            "How do I delete photos from my {gadget} and my {gadget2}?",
            "Are photos sharper on a {gadget} or on a {gadget2}?",
        ),
        swap=("gadget", "gadget2"),
    ),
    Frame(
        (
            "<What is|Which is> the best <time|season> of the year to visit {city}?",
            "When should <I|a tourist> <go to|travel to> {city}?",
            "In which months is a trip to {city} most <pleasant|enjoyable>?",
        ),
        near=(
            "What is the best place to visit in {city}?",
            "How many days does one need to visit {city}?",
            "When does the best train leave for {city}?",
        ),
    ),
    Frame(
        (
            "<Can|May> I keep {dish} in the fridge for a week and still eat it?",
            "Is it still <safe|wise> to eat {dish} after seven days in the refrigerator?",
        ),
        near=(
            "Can I eat {dish} every day of the week?",
            "Do I have to keep {dish} in the fridge before I cook it?",
        ),
    ),
)

UNSEEN_QUESTIONS = (
    Frame(
        (
            "How do I <know|find out> whether a used {device} is worth <its price|the money>?",
            "What should I check before I <buy|pay for> a second-hand {device}?",
            "What do I have to look at when buying a {device} that is not new?",
        ),
        near=(
            "Where can I sell my used {device}?",
            "How much is a new {device} worth?",
        ),
    ),
    Frame(
        (
            "Is a {person} from {city} allowed to work in {city2}?",
            "Can someone from {city} take a job as a {person} in {city2}?",
            "Does {city2} let a {person} who comes from {city} work there?",
        ),
        near=(
            "Does a {person} from {city} find friends in {city2}?",
            "Is a {person} in {city} paid better than one in {city2}?",
        ),
        swap=("city", "city2"),
    ),
    Frame(
        (
            "How do I stop <being afraid of|fearing> the exam in {skill}?",
            "What helps against my fear before a test in {skill}?",
        ),
        near=(
            "What is asked in the exam in {skill}?",
            "How do I cheat in the exam in {skill}?",
        ),
    ),
)
